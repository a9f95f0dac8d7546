/* Softmax in fixed point, after gemmlowp: Qm means m integer bits in an int32. */
#include "fixed_point.h"
#include "flota/nn.h"

#define INPUT_INTEGER_BITS 5
#define INPUT_FRACTION_BITS 26
#define SUM_INTEGER_BITS 12

/* value * 2^n, saturated. */
static int32_t saturating_shift_left(int32_t x, int32_t n)
{
    const int32_t threshold = (int32_t)((1u << (31 - n)) - 1u);

    if (x > threshold) {
        return INT32_MAX;
    }
    return x < -threshold ? INT32_MIN : wrapping_shift_left(x, n);
}

/* exp(x) for x in [-1/4, 0), Q0: the fourth-order Taylor polynomial around -1/8. */
static int32_t exp_on_small(int32_t x)
{
    const int32_t exp_of_minus_eighth = 1895147668;
    const int32_t one_third = 715827883;
    const int32_t y = x + (1 << 28);
    const int32_t y2 = high_multiply(y, y);
    const int32_t y3 = high_multiply(y2, y);
    const int32_t y4_over_4 = rounding_divide(high_multiply(y2, y2), 2);
    const int32_t rest = rounding_divide(high_multiply(y4_over_4 + y3, one_third) + y2, 1);

    return exp_of_minus_eighth + high_multiply(exp_of_minus_eighth, y + rest);
}

/* exp(x) for x <= 0, Q5 to Q0: a polynomial on [-1/4, 0), then one factor for every set bit of the rest. */
static int32_t exp_of_negative(int32_t x)
{
    /* exp(-2^e) in Q0 for e = -2 .. 4. */
    static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << (INPUT_FRACTION_BITS - 2);
    const int32_t small = (x & (quarter - 1)) - quarter;
    const int32_t rest = small - x;
    int32_t result = exp_on_small(small * (1 << INPUT_INTEGER_BITS));

    if (x == 0) {
        return INT32_MAX;
    }
    for (int32_t i = 0; i < 7; i++) {
        if ((rest & (quarter << i)) != 0) {
            result = high_multiply(result, factors[i]);
        }
    }
    return result;
}

/* 1 / (1 + x) for x in [0, 1), Q0, by three Newton-Raphson steps. */
static int32_t one_over_one_plus(int32_t x)
{
    const int32_t one = 1 << 29; /* Q2 */
    const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t estimate = 1515870810 + high_multiply(half_denominator, -1010580540); /* 48/17 - 32/17 d */

    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = one - high_multiply(half_denominator, estimate);

        estimate += saturating_shift_left(high_multiply(estimate, error), 2);
    }
    return saturating_shift_left(estimate, 1);
}

/* exp of the scaled difference of a stored value to the largest of its row, Q0. */
static int32_t exp_of_difference(const flota_nn_softmax_t *s, int32_t difference)
{
    return exp_of_negative(high_multiply(wrapping_shift_left(difference, s->left_shift), s->multiplier));
}

static int32_t leading_zeros(uint32_t x)
{
    int32_t zeros = 0;

    while ((x & 0x80000000u) == 0u) {
        x <<= 1;
        zeros++;
    }
    return zeros;
}

static void softmax_row(const flota_nn_softmax_t *s, const int8_t *input, int8_t *output)
{
    int32_t max = INT8_MIN;
    int32_t sum = 0;

    for (int32_t i = 0; i < s->depth; i++) {
        max = input[i] > max ? input[i] : max;
    }
    for (int32_t i = 0; i < s->depth; i++) {
        if (input[i] - max >= s->diff_min) {
            sum = wrapping_add(sum, rounding_divide(exp_of_difference(s, input[i] - max), SUM_INTEGER_BITS));
        }
    }
    /* The row's maximum adds 1 to the sum, so it is not zero. */
    const int32_t zeros = leading_zeros((uint32_t)sum);
    const int32_t scale = one_over_one_plus((int32_t)(((uint32_t)sum << zeros) - 0x80000000u));
    const int32_t exponent = SUM_INTEGER_BITS - zeros + 31 - 8;
    /* With 512 classes or more all may be so unlikely that they round to zero; the interpreter aborts there. */
    const int32_t vanishing = exponent > 31;

    for (int32_t i = 0; i < s->depth; i++) {
        int32_t stored = INT8_MIN;

        if (!vanishing && input[i] - max >= s->diff_min) {
            const int32_t probability = high_multiply(scale, exp_of_difference(s, input[i] - max));

            stored = clamp(rounding_divide(probability, exponent) + INT8_MIN, INT8_MIN, INT8_MAX);
        }
        output[i] = (int8_t)stored;
    }
}

void flota_nn_softmax_s8(const flota_nn_softmax_t *softmax, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < softmax->rows; row++) {
        softmax_row(softmax, input + row * softmax->depth, output + row * softmax->depth);
    }
}
