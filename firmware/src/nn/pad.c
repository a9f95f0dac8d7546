#include <string.h>

#include "flota/nn.h"
#include "walk.h"

void flota_nn_pad_s8(const flota_nn_pad_t *pad, const int8_t *input, int8_t *output)
{
    const int32_t last = pad->rank - 1;
    int32_t stride[FLOTA_NN_MAX_RANK] = {0};
    int32_t index[FLOTA_NN_MAX_RANK] = {0};
    int32_t total = 1;
    int32_t origin = 0;

    for (int32_t axis = last; axis >= 0; axis--) {
        stride[axis] = total;
        origin += pad->before[axis] * total;
        total *= pad->before[axis] + pad->extent[axis] + pad->after[axis];
    }
    memset(output, pad->value, (size_t)total);
    do {
        memcpy(output + origin + walk_offset(pad->rank, stride, index), input, (size_t)pad->extent[last]);
        input += pad->extent[last];
    } while (walk_next(pad->rank, pad->extent, index));
}
