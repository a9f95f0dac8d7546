/* Walks two inputs that broadcast, one result at a time. */
#ifndef FLOTA_NN_BROADCAST_H
#define FLOTA_NN_BROADCAST_H

#include <stdint.h>

#include "flota/nn.h"
#include "walk.h"

typedef int8_t (*broadcast_combine_t)(const flota_nn_elementwise_t *op, int32_t left, int32_t right);

/* Inlined into each operation with a constant `combine`, so there is no call per element. */
static inline void broadcast_walk(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right,
                                  int8_t *output, broadcast_combine_t combine)
{
    const int32_t last = op->rank - 1;
    int32_t index[FLOTA_NN_MAX_RANK] = {0};

    do {
        const int8_t *a = left + walk_offset(op->rank, op->stride[0], index);
        const int8_t *b = right + walk_offset(op->rank, op->stride[1], index);

        for (int32_t i = 0; i < op->extent[last]; i++) {
            *output++ = combine(op, a[i * op->stride[0][last]], b[i * op->stride[1][last]]);
        }
    } while (walk_next(op->rank, op->extent, index));
}

#endif
