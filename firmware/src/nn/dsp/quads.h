/* Columns for the matrix products that read whole quads. */
#ifndef FLOTA_NN_DSP_QUADS_H
#define FLOTA_NN_DSP_QUADS_H

#include <stdint.h>

/* `count` rounded up to a multiple of 4. */
static inline int32_t quads_round_up(int32_t count) { return (count + 3) & ~3; }

/* The column itself where it is whole quads; else a copy of it whose last quad is filled with zeros. Not memcpy, which
 * would bring in more code than all of this. */
static inline const int8_t *quads_of(const int8_t *column, int32_t count, int8_t *copy)
{
    if ((count & 3) == 0) {
        return column;
    }
    for (int32_t i = 0; i < quads_round_up(count); i++) {
        copy[i] = i < count ? column[i] : 0;
    }
    return copy;
}

#endif
