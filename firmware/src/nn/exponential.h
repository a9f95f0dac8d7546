/* Exponentials in fixed point, after gemmlowp: Qm means m integer bits in an int32. */
#ifndef FLOTA_NN_EXPONENTIAL_H
#define FLOTA_NN_EXPONENTIAL_H

#include <stdint.h>

#include "fixed_point.h"

#define INPUT_INTEGER_BITS 5
#define INPUT_FRACTION_BITS 26
#define SUM_INTEGER_BITS 12 /* of a sum of exponentials */

/* exp(x) for x <= 0, Q5 to Q0. */
int32_t flota_nn_exp_of_negative(int32_t x);

/* 1 / (1 + x) for x in [0, 1), Q0. */
int32_t flota_nn_one_over_one_plus(int32_t x);

/* x * 2^n, saturated; 0 <= n <= 31. */
static inline int32_t saturating_shift_left(int32_t x, int32_t n)
{
    const int32_t threshold = (int32_t)((1u << (31 - n)) - 1u);

    if (x > threshold) {
        return INT32_MAX;
    }
    return x < -threshold ? INT32_MIN : wrapping_shift_left(x, n);
}

/* x is not 0. */
static inline int32_t leading_zeros(uint32_t x)
{
    int32_t zeros = 0;

    while ((x & 0x80000000u) == 0u) {
        x <<= 1;
        zeros++;
    }
    return zeros;
}

#endif
