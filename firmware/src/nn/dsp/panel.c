#include "panel.h"

/* Appends what is left of a run after its quads, to one column. */
static uint32_t *append_rest(const int8_t *from, int32_t count, uint32_t *to)
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

uint32_t *flota_nn_dsp_panel_append(const int8_t *from, int32_t count, uint32_t *to)
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
    return append_rest(from, count, to);
}

uint32_t *flota_nn_dsp_panel_append_both(const int8_t *left, const int8_t *right, int32_t count, uint32_t *to)
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
        append_rest(right, count, to + 1);
        to = append_rest(left, count, to);
    }
    return to;
}

uint32_t *flota_nn_dsp_panel_fill(int8_t value, int32_t pairs, uint32_t *to)
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
