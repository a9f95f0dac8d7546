/* Logarithm of softmax in fixed point, after gemmlowp: Qm means m integer bits in an int32. */
#include "exponential.h"
#include "fixed_point.h"
#include "flota/nn.h"

#define LOG_INTEGER_BITS 6 /* of the logarithm, before it is brought to those of the input */
#define OUTPUT_INTEGER_BITS 4

static int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }

static int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

/* log(r) for r in [sqrt(1/2), 1] of Q0, as a rational function around the fourth root of 1/2; Q6. */
static int32_t log_of_fraction(int32_t r)
{
    const int32_t center = 1805811301;                                                       /* 2^(-1/4) */
    const int32_t a_n = 117049297, a_d = 127690142, a_i = 1057819769, a_f = 638450708; /* of gemmlowp's fit */
    const int32_t p = (int32_t)(((int64_t)r + center + 1) / 2);
    const int32_t q = 2 * (r - center);
    const int32_t q2 = high_multiply(q, q);
    const int32_t numerator = high_multiply(q, r) + high_multiply(high_multiply(q, q2), a_n);
    const int32_t denominator = high_multiply(p, a_i + q + high_multiply(a_d, q2)) + high_multiply(a_f, q);

    return high_multiply(rounding_divide(numerator, LOG_INTEGER_BITS), flota_nn_one_over_one_plus(denominator));
}

/* log(x) for x >= 1 of Q12, Q5: x is 2^n r, and of two ways to take n and r the better one is chosen. */
static int32_t log_of_sum(int32_t x)
{
    const int32_t log_of_2 = 1488522236, sqrt_half = 1518500250;                   /* Q0 */
    const int32_t one = 1 << (31 - LOG_INTEGER_BITS), quarter = one / 4;           /* Q6 */
    const int32_t zeros = leading_zeros((uint32_t)x);
    const int32_t r_a = saturating_shift_left(high_multiply(saturating_shift_left(x, zeros - 1), sqrt_half), 1);
    const int32_t n_a = (SUM_INTEGER_BITS - zeros) * one + quarter;
    const int32_t shift = leading_zeros((uint32_t)high_multiply(x, sqrt_half)) - 1;
    const int32_t r_b = saturating_shift_left(x, shift);
    const int32_t n_b = (SUM_INTEGER_BITS - shift) * one - quarter;
    const int32_t whole = high_multiply(larger(n_a, n_b), log_of_2);

    return saturating_shift_left(whole + log_of_fraction(smaller(r_a, r_b)), LOG_INTEGER_BITS - INPUT_INTEGER_BITS);
}

static int32_t scaled(const flota_nn_log_softmax_t *s, int32_t difference)
{
    return high_multiply(wrapping_shift_left(difference, s->left_shift), s->multiplier);
}

static void log_softmax_row(const flota_nn_log_softmax_t *s, const int8_t *input, int8_t *output)
{
    int32_t max = INT8_MIN;
    int32_t sum = 0;

    for (int32_t i = 0; i < s->depth; i++) {
        max = larger(max, input[i]);
    }
    for (int32_t i = 0; i < s->depth; i++) {
        if (input[i] - max >= s->diff_min) {
            sum += rounding_divide(flota_nn_exp_of_negative(scaled(s, input[i] - max)), SUM_INTEGER_BITS);
        }
    }
    const int32_t log_sum = log_of_sum(sum);
    const int32_t reach = rounding_divide(high_multiply(wrapping_add(log_sum, INT32_MIN), s->reverse_multiplier),
                                          -s->reverse_shift);
    const int32_t lowest = larger(s->diff_min - 1, reach);

    for (int32_t i = 0; i < s->depth; i++) {
        int32_t stored = INT8_MIN;

        if (input[i] - max > lowest) {
            const int32_t log = wrapping_add(scaled(s, input[i] - max), -log_sum);

            stored = clamp(rounding_divide(log, INPUT_FRACTION_BITS - OUTPUT_INTEGER_BITS) + INT8_MAX, INT8_MIN,
                           INT8_MAX);
        }
        output[i] = (int8_t)stored;
    }
}

void flota_nn_log_softmax_s8(const flota_nn_log_softmax_t *softmax, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < softmax->rows; row++) {
        log_softmax_row(softmax, input + row * softmax->depth, output + row * softmax->depth);
    }
}
