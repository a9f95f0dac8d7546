#include "flota/nn.h"
#include "walk.h"

void flota_nn_div_f32(const flota_nn_div_f32_t *op, const float *left, const float *right, float *output)
{
    const int32_t last = op->rank - 1;
    int32_t index[FLOTA_NN_MAX_RANK] = {0};

    do {
        const float *a = left + walk_offset(op->rank, op->stride[0], index);
        const float *b = right + walk_offset(op->rank, op->stride[1], index);

        for (int32_t i = 0; i < op->extent[last]; i++) {
            float quotient = *a / *b;

            quotient = quotient < op->min ? op->min : quotient;
            *output++ = quotient > op->max ? op->max : quotient; /* NaN stays */
            a += op->stride[0][last];
            b += op->stride[1][last];
        }
    } while (walk_next(op->rank, op->extent, index));
}
