#include "exponential.h"

#include "fixed_point.h"

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

/* A polynomial on [-1/4, 0), then one factor for every set bit of the rest. */
int32_t flota_nn_exp_of_negative(int32_t x)
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

/* Three Newton-Raphson steps. */
int32_t flota_nn_one_over_one_plus(int32_t x)
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
