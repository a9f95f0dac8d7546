/* Fixed-point arithmetic shared by the kernels, with the roundings of gemmlowp and TensorFlow Lite Micro. */
#ifndef FLOTA_NN_FIXED_POINT_H
#define FLOTA_NN_FIXED_POINT_H

#include <stdint.h>

#include "flota/nn.h"

/* Sums that may wrap at the ends of int32, without undefined behaviour. */
static inline int32_t wrapping_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

static inline int32_t wrapping_shift_left(int32_t x, int32_t n) { return (int32_t)((uint32_t)x << n); }

/* High word of 2ab, rounded to nearest. b is never INT32_MIN here, so it cannot overflow. */
static inline int32_t high_multiply(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* x / 2^n rounded to nearest, halves away from zero; 0 <= n <= 31. */
static inline int32_t rounding_divide(int32_t x, int32_t n)
{
    const int32_t mask = (int32_t)(((uint32_t)1 << n) - 1u);
    const int32_t threshold = (mask >> 1) + (x < 0);

    return (x >> n) + ((x & mask) > threshold);
}

/* x * multiplier * 2^(shift - 31), rounded twice. */
static inline int32_t multiply_by_quantized(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;

    return rounding_divide(high_multiply(wrapping_shift_left(x, left), multiplier), right);
}

static inline int32_t clamp(int32_t x, int32_t min, int32_t max) { return x < min ? min : (x > max ? max : x); }

/* The finished int8 of output channel `channel` from its sum. */
static inline int8_t requantize(const flota_nn_requantize_t *q, int32_t channel, int32_t sum)
{
    const int32_t index = channel * q->channel_step;
    const int32_t scaled = multiply_by_quantized(sum, q->multiplier[index], q->shift[index]);

    return (int8_t)clamp(wrapping_add(scaled, q->offset), q->min, q->max);
}

#endif
