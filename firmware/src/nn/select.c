#include <string.h>

#include "flota/nn.h"
#include "walk.h"

void flota_nn_select(const flota_nn_select_t *op, const int8_t *condition, const void *yes, const void *no,
                     void *output)
{
    const int32_t last = op->rank - 1;
    const int32_t size = op->size;
    int8_t *target = (int8_t *)output;
    int32_t index[FLOTA_NN_MAX_RANK] = {0};

    do {
        const int8_t *chosen = condition + walk_offset(op->rank, op->stride[0], index);
        const int8_t *a = (const int8_t *)yes + size * walk_offset(op->rank, op->stride[1], index);
        const int8_t *b = (const int8_t *)no + size * walk_offset(op->rank, op->stride[2], index);

        for (int32_t i = 0; i < op->extent[last]; i++) {
            memmove(target, *chosen != 0 ? a : b, (size_t)size);
            target += size;
            chosen += op->stride[0][last];
            a += size * op->stride[1][last];
            b += size * op->stride[2][last];
        }
    } while (walk_next(op->rank, op->extent, index));
}
