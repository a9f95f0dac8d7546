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
    int32_t done = 0; /* elements written */

    for (int32_t axis = last; axis >= 0; axis--) {
        stride[axis] = total;
        origin += pad->before[axis] * total;
        total *= pad->before[axis] + pad->extent[axis] + pad->after[axis];
    }
    /* In the order of addresses, so that the output may grow over its input from below. */
    do {
        const int32_t place = origin + walk_offset(pad->rank, stride, index);

        memset(output + done, pad->value, (size_t)(place - done));
        memmove(output + place, input, (size_t)pad->extent[last]);
        input += pad->extent[last];
        done = place + pad->extent[last];
    } while (walk_next(pad->rank, pad->extent, index));
    memset(output + done, pad->value, (size_t)(total - done));
}
