#include "flota/nn.h"

/* `sign` is 1 for the largest and -1 for the smallest; every value times `sign` fits an int32. */
static inline int32_t best_of(const flota_nn_reduce_t *r, const int8_t *input, int32_t sign)
{
    int32_t best = *input * sign;

    for (int32_t i = 0; i < r->reduced_extent[0]; i++) {
        for (int32_t j = 0; j < r->reduced_extent[1]; j++) {
            const int8_t *row = input + i * r->reduced_stride[0] + j * r->reduced_stride[1];

            for (int32_t k = 0; k < r->reduced_extent[2]; k++) {
                const int32_t value = row[k * r->reduced_stride[2]] * sign;

                best = value > best ? value : best;
            }
        }
    }
    return best * sign;
}

static inline void reduce(const flota_nn_reduce_t *r, const int8_t *input, int8_t *output, int32_t sign)
{
    const int32_t *stride = r->kept_stride;

    for (int32_t i = 0; i < r->kept_extent[0]; i++) {
        for (int32_t j = 0; j < r->kept_extent[1]; j++) {
            for (int32_t k = 0; k < r->kept_extent[2]; k++) {
                *output++ = (int8_t)best_of(r, input + i * stride[0] + j * stride[1] + k * stride[2], sign);
            }
        }
    }
}

void flota_nn_reduce_max_s8(const flota_nn_reduce_t *r, const int8_t *input, int8_t *output)
{
    reduce(r, input, output, 1);
}

void flota_nn_reduce_min_s8(const flota_nn_reduce_t *r, const int8_t *input, int8_t *output)
{
    reduce(r, input, output, -1);
}
