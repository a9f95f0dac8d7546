/* Columns of int8 inputs as the packed halfwords that flota_nn_dsp_gemm_4x2 multiplies, and what its callers share.
 *
 * A panel has two columns, word by word in turn. Of each run of inputs, four values x become the pairs (x0, x2) and
 * (x1, x3); what is left over becomes (x0, x1) and (x2, nothing).
 */
#ifndef FLOTA_NN_DSP_PANEL_H
#define FLOTA_NN_DSP_PANEL_H

#include <stdint.h>

#include "dsp.h"
#include "gemm.h"

/* Appends what is left of a run after its quads, to one column. */
static inline uint32_t *panel_append_rest(const int8_t *from, int32_t count, uint32_t *to)
{
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

/* Appends a run of `count` values to one column of a panel and returns its new end. */
static inline uint32_t *panel_append(const int8_t *from, int32_t count, uint32_t *to)
{
    const int8_t *const quads_end = from + (count & ~3);

    if ((count & 4) != 0) {
        const uint32_t a = dsp_load32(from);

        to[0] = dsp_sxtb16(a);
        to[2] = dsp_sxtb16_odd(a);
        from += 4;
        to += 4;
    }
    while (from != quads_end) {
        const uint32_t a = dsp_load32(from), b = dsp_load32(from + 4);

        to[0] = dsp_sxtb16(a);
        to[2] = dsp_sxtb16_odd(a);
        to[4] = dsp_sxtb16(b);
        to[6] = dsp_sxtb16_odd(b);
        from += 8;
        to += 8;
    }
    return panel_append_rest(from, count, to);
}

/* Appends two runs of `count` values at once, one to each column. */
static inline uint32_t *panel_append_both(const int8_t *left, const int8_t *right, int32_t count, uint32_t *to)
{
    int32_t quads = count >> 2;

    if ((quads & 1) != 0) {
        const uint32_t a = dsp_load32(left), b = dsp_load32(right);

        to[0] = dsp_sxtb16(a);
        to[1] = dsp_sxtb16(b);
        to[2] = dsp_sxtb16_odd(a);
        to[3] = dsp_sxtb16_odd(b);
        left += 4;
        right += 4;
        to += 4;
    }
    for (quads >>= 1; quads != 0; quads--) {
        const uint32_t a = dsp_load32(left), b = dsp_load32(right);
        const uint32_t c = dsp_load32(left + 4), d = dsp_load32(right + 4);

        to[0] = dsp_sxtb16(a);
        to[1] = dsp_sxtb16(b);
        to[2] = dsp_sxtb16_odd(a);
        to[3] = dsp_sxtb16_odd(b);
        to[4] = dsp_sxtb16(c);
        to[5] = dsp_sxtb16(d);
        to[6] = dsp_sxtb16_odd(c);
        to[7] = dsp_sxtb16_odd(d);
        left += 8;
        right += 8;
        to += 8;
    }
    if ((count & 3) != 0) {
        panel_append_rest(right, count, to + 1);
        to = panel_append_rest(left, count, to);
    }
    return to;
}

/* Appends `pairs` pairs of one value to one column. */
static inline uint32_t *panel_fill(int8_t value, int32_t pairs, uint32_t *to)
{
    const uint32_t pair = dsp_pack_low((uint32_t)(int32_t)value, (uint32_t)(int32_t)value);

    if ((pairs & 1) != 0) {
        *to = pair;
        to += 2;
    }
    for (pairs >>= 1; pairs != 0; pairs--) {
        to[0] = pair;
        to[2] = pair;
        to += 4;
    }
    return to;
}

/* Clamps `count` stored values to a range narrower than int8. */
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
