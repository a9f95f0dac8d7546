/* Walks the outer axes of a strided operation: everything but the last axis, which kernels loop over themselves. */
#ifndef FLOTA_NN_WALK_H
#define FLOTA_NN_WALK_H

#include <stdint.h>

#include "flota/nn.h"

/* Steps `index` (all zero at first) to the next row; returns 0 after the last one. */
static inline int walk_next(int32_t rank, const int32_t *extent, int32_t *index)
{
    for (int32_t axis = rank - 2; axis >= 0; axis--) {
        if (++index[axis] < extent[axis]) {
            return 1;
        }
        index[axis] = 0;
    }
    return 0;
}

/* Position of the row `index` for the strides of one operand. */
static inline int32_t walk_offset(int32_t rank, const int32_t *stride, const int32_t *index)
{
    int32_t offset = 0;

    for (int32_t axis = 0; axis < rank - 1; axis++) {
        offset += index[axis] * stride[axis];
    }
    return offset;
}

#endif
