/* What the kernels of means share. */
#ifndef FLOTA_NN_MEAN_H
#define FLOTA_NN_MEAN_H

#include "flota/nn.h"

/* The sum of one output value, from the first of its inputs on. */
static inline int32_t mean_sum(const flota_nn_mean_t *m, const int8_t *input)
{
    int32_t sum = m->sum_offset;

    for (int32_t i = 0; i < m->reduced_extent[0]; i++) {
        for (int32_t j = 0; j < m->reduced_extent[1]; j++) {
            const int8_t *row = input + i * m->reduced_stride[0] + j * m->reduced_stride[1];

            for (int32_t k = 0; k < m->reduced_extent[2]; k++) {
                sum += row[k * m->reduced_stride[2]];
            }
        }
    }
    return sum;
}

#endif
