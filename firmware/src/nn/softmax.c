/* Softmax in fixed point, after gemmlowp. */
#include "exponential.h"
#include "fixed_point.h"
#include "flota/nn.h"

/* exp of the scaled difference of a stored value to the largest of its row, Q0. */
static int32_t exp_of_difference(const flota_nn_softmax_t *s, int32_t difference)
{
    return flota_nn_exp_of_negative(high_multiply(wrapping_shift_left(difference, s->left_shift), s->multiplier));
}

/* What is common to the values of a row. */
typedef struct {
    int32_t max;
    int32_t scale;     /* 1 over the sum of the exponentials, scaled to [1/2, 1), Q0 */
    int32_t magnitude; /* binary digits of that sum before the point */
} softmax_row_t;

static inline softmax_row_t sum_row(const flota_nn_softmax_t *s, const int8_t *input)
{
    softmax_row_t row = {.max = INT8_MIN};
    int32_t sum = 0;

    for (int32_t i = 0; i < s->depth; i++) {
        row.max = input[i] > row.max ? input[i] : row.max;
    }
    for (int32_t i = 0; i < s->depth; i++) {
        if (input[i] - row.max >= s->diff_min) {
            sum = wrapping_add(sum, rounding_divide(exp_of_difference(s, input[i] - row.max), SUM_INTEGER_BITS));
        }
    }
    /* The row's maximum adds 1 to the sum, so it is not zero. */
    const int32_t zeros = leading_zeros((uint32_t)sum);

    row.scale = flota_nn_one_over_one_plus((int32_t)(((uint32_t)sum << zeros) - 0x80000000u));
    row.magnitude = SUM_INTEGER_BITS - zeros;
    return row;
}

/* The stored result of `bits` bits, the smallest for probability 0. */
static inline int32_t probability(const flota_nn_softmax_t *s, const softmax_row_t *row, int32_t x, int32_t bits)
{
    const int32_t low = -(1 << (bits - 1));
    const int32_t exponent = row->magnitude + 31 - bits;

    /* With 512 classes or more all may be so unlikely that they round to zero; the interpreter aborts there. */
    if (exponent > 31 || x - row->max < s->diff_min) {
        return low;
    }
    return clamp(rounding_divide(high_multiply(row->scale, exp_of_difference(s, x - row->max)), exponent) + low, low,
                 -low - 1);
}

void flota_nn_softmax_s8(const flota_nn_softmax_t *softmax, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < softmax->rows; i++) {
        const softmax_row_t row = sum_row(softmax, input);

        for (int32_t k = 0; k < softmax->depth; k++) {
            *output++ = (int8_t)probability(softmax, &row, *input++, 8);
        }
    }
}

void flota_nn_softmax_s8_s16(const flota_nn_softmax_t *softmax, const int8_t *input, int16_t *output)
{
    for (int32_t i = 0; i < softmax->rows; i++) {
        const softmax_row_t row = sum_row(softmax, input);

        for (int32_t k = 0; k < softmax->depth; k++) {
            *output++ = (int16_t)probability(softmax, &row, *input++, 16);
        }
    }
}
