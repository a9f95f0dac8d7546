/* Sigmoid and tanh of 16-bit values by a table, as the recurrent kernels need them. */
#ifndef FLOTA_NN_SIGMOID_S16_H
#define FLOTA_NN_SIGMOID_S16_H

#include <stdint.h>
#include <stdlib.h>

/* 65536 * (sigmoid(i / 24) - 1/2). The reference kernels fix these values: most are rounded to nearest, some lie one above,
 * so that the straight line between two entries errs less. Other bytes would follow from any other table. */
extern const uint16_t FLOTA_NN_SIGMOID_S16[256];

/* The table at |x|, with `bits` bits of fraction below the index; `last` where that lies behind the table. Negative for a
 * negative x, and then one less: that makes the reference's rounding of halves towards zero one addition for both. */
static inline int32_t sigmoid_s16_interpolate(int32_t x, uint32_t bits, int32_t last)
{
    const uint32_t position = (uint32_t)abs(x);
    const uint32_t index = position >> bits;
    int32_t value = last;

    if (index < 255u) {
        const uint16_t *const entry = FLOTA_NN_SIGMOID_S16 + index;
        const int32_t fraction = (int32_t)(position & ((1u << bits) - 1u));

        value = (entry[0] << bits) + fraction * (entry[1] - entry[0]);
    }
    return value ^ (x < 0 ? -1 : 0);
}

/* Argument in units of 3/4 * 2^-14 (that is x of Q3.12 times 3), |x| < 2^31; result Q0.15. */
static inline int16_t flota_nn_sigmoid_s16(int32_t x)
{
    return (int16_t)((sigmoid_s16_interpolate(x, 9, (0x7fff << 10) - (1 << 24)) + (1 << 24) + (1 << 9)) >> 10);
}

static inline int16_t flota_nn_tanh_s16(int32_t x)
{
    return (int16_t)((sigmoid_s16_interpolate(x, 8, 0x7fff << 8) + (1 << 7)) >> 8);
}

/* tanh of a cell state, whose scale is a power of two: multiplier and right shift bring it to the argument. */
static inline int16_t flota_nn_tanh_of_cell(int32_t cell, int32_t multiplier, int32_t shift)
{
    return flota_nn_tanh_s16((cell * multiplier + ((1 << shift) >> 1)) >> shift);
}

#endif
