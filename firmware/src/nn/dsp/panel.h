/* Columns of int8 inputs as the packed halfwords that flota_nn_dsp_gemm_4x2 multiplies, and what its callers share. */
#ifndef FLOTA_NN_DSP_PANEL_H
#define FLOTA_NN_DSP_PANEL_H

#include <stdint.h>

#include "dsp.h"
#include "gemm.h"

/* Appends `count` values to one column of a panel of two and returns its new end. Four values x become the pairs
 * (x0, x2) and (x1, x3); of what is left over, (x0, x1) and (x2, nothing). */
static inline uint32_t *panel_append(const int8_t *from, int32_t count, uint32_t *to)
{
    const int8_t *const quads_end = from + (count & ~3);

    while (from != quads_end) {
        const uint32_t quad = dsp_load32(from);

        to[0] = dsp_sxtb16(quad);
        to[2] = dsp_sxtb16_odd(quad);
        from += 4;
        to += 4;
    }
    if ((count & 2) != 0) {
        *to = dsp_pack_low((uint32_t)(int32_t)from[0], (uint32_t)(int32_t)from[1]);
        from += 2;
        to += 2;
    }
    if ((count & 1) != 0) {
        *to = (uint32_t)(int32_t)from[0] & 0xffffu;
        to += 2;
    }
    return to;
}

/* Clamps `count` stored values that are narrower than int8. */
static inline void clamp_values(const flota_nn_dsp_gemm_t *gemm, int8_t *values, int32_t count)
{
    if (gemm->min == INT8_MIN && gemm->max == INT8_MAX) {
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        values[i] = (int8_t)clamp(values[i], gemm->min, gemm->max);
    }
}

#endif
