#include "dsp.h"
#include "flota/nn_dsp_depthwise.h"

/* Four values at once: saturating at 127 what is moved up by 127 - max leaves max, and likewise below. */
static int32_t clamp_words(int32_t count, int32_t min, int32_t max, int8_t *values)
{
    const uint32_t up = 0x01010101u * (uint32_t)(127 - max), down = 0x01010101u * (uint32_t)(min + 128);
    int32_t i = 0;

    for (; i + 4 <= count; i += 4) {
        const uint32_t below = dsp_qsub8(dsp_qadd8(dsp_load32(values + i), up), up);

        dsp_store32(values + i, dsp_qadd8(dsp_qsub8(below, down), down));
    }
    return i;
}

void flota_nn_dsp_clamp_s8(int32_t count, int32_t min, int32_t max, int8_t *values)
{
    /* The amounts to move by are int8 themselves. */
    int32_t i = max >= 0 && min < 0 ? clamp_words(count, min, max, values) : 0;

    for (; i < count; i++) {
        values[i] = (int8_t)clamp(values[i], min, max);
    }
}
