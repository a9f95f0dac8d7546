#include "flota/nn.h"
#include "walk.h"

void flota_nn_transpose_s8(const flota_nn_transpose_t *transpose, const int8_t *input, int8_t *output)
{
    const int32_t last = transpose->rank - 1;
    int32_t index[FLOTA_NN_MAX_RANK] = {0};

    do {
        const int8_t *in = input + walk_offset(transpose->rank, transpose->stride, index);

        for (int32_t i = 0; i < transpose->extent[last]; i++) {
            *output++ = *in;
            in += transpose->stride[last];
        }
    } while (walk_next(transpose->rank, transpose->extent, index));
}
