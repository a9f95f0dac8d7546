/* Sums of int8 that lie a fixed step apart, of four neighbours at once. */
#ifndef FLOTA_NN_DSP_COLUMN_SUMS_H
#define FLOTA_NN_DSP_COLUMN_SUMS_H

#include <stdint.h>

#include "dsp.h"

/* Values that a halfword can add up, each being at least -128. */
#define COLUMN_SUMS_ROOM 255

typedef struct {
    int32_t sum[4];
    uint32_t even, odd; /* packed halfwords: what is not in `sum` yet of columns 0, 2 and 1, 3 */
    int32_t room;       /* values that `even` and `odd` have room for */
} column_sums_t;

static inline void column_sums_begin(column_sums_t *s, int32_t start)
{
    *s = (column_sums_t){{start, start, start, start}, 0, 0, COLUMN_SUMS_ROOM};
}

/* Moves the packed halfwords into the sums. */
static inline void column_sums_flush(column_sums_t *s)
{
    s->sum[0] += (int16_t)(uint16_t)s->even;
    s->sum[1] += (int16_t)(uint16_t)s->odd;
    s->sum[2] += (int32_t)s->even >> 16;
    s->sum[3] += (int32_t)s->odd >> 16;
    s->even = 0;
    s->odd = 0;
    s->room = COLUMN_SUMS_ROOM;
}

/* Adds `count` words, `step` bytes apart; no more than there is room for. */
static inline void column_sums_add_some(column_sums_t *s, const int8_t *from, int32_t count, int32_t step)
{
    uint32_t even = s->even, odd = s->odd;

    s->room -= count;
    for (; count >= 4; count -= 4) {
        const uint32_t a = dsp_load32(from), b = dsp_load32(from + step);
        const uint32_t c = dsp_load32(from + 2 * step), d = dsp_load32(from + 3 * step);

        even = dsp_sxtab16(dsp_sxtab16(dsp_sxtab16(dsp_sxtab16(even, a), b), c), d);
        odd = dsp_sxtab16_odd(dsp_sxtab16_odd(dsp_sxtab16_odd(dsp_sxtab16_odd(odd, a), b), c), d);
        from += 4 * step;
    }
    for (; count != 0; count--) {
        const uint32_t a = dsp_load32(from);

        even = dsp_sxtab16(even, a);
        odd = dsp_sxtab16_odd(odd, a);
        from += step;
    }
    s->even = even;
    s->odd = odd;
}

/* Adds `count` words, `step` bytes apart. */
static inline void column_sums_add(column_sums_t *s, const int8_t *from, int32_t count, int32_t step)
{
    while (count > s->room) {
        const int32_t some = s->room;

        column_sums_add_some(s, from, some, step);
        column_sums_flush(s);
        from += some * step;
        count -= some;
    }
    column_sums_add_some(s, from, count, step);
}

#endif
