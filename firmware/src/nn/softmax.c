/* Softmax in fixed point, after gemmlowp. */
#include "exponential.h"
#include "fixed_point.h"
#include "flota/nn.h"
#include "softmax.h"

/* exp of the scaled difference of a stored value to the largest of its row, Q0. */
static int32_t exp_of_difference(const flota_nn_softmax_t *s, int32_t difference)
{
    return flota_nn_exp_of_negative(high_multiply(wrapping_shift_left(difference, s->left_shift), s->multiplier));
}

/* What is common to the values of a row. */
typedef struct {
    int32_t max;
    softmax_total_t total;
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
    row.total = softmax_total((uint32_t)sum);
    return row;
}

/* The stored result of `bits` bits, the smallest for probability 0. */
static inline int32_t probability(const flota_nn_softmax_t *s, const softmax_row_t *row, int32_t x, int32_t bits)
{
    const int32_t low = -(1 << (bits - 1));
    const int32_t exponent = row->total.magnitude + 31 - bits;

    if (exponent > SOFTMAX_MOST_EXPONENT || x - row->max < s->diff_min) {
        return low;
    }
    return clamp(rounding_divide(high_multiply(row->total.scale, exp_of_difference(s, x - row->max)), exponent) + low, low,
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
