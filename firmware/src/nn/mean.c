#include "fixed_point.h"
#include "flota/nn.h"

static int32_t sum_reduced(const flota_nn_mean_t *m, const int8_t *input)
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

void flota_nn_mean_s8(const flota_nn_mean_t *mean, const int8_t *input, int8_t *output)
{
    const int32_t *stride = mean->kept_stride;

    for (int32_t i = 0; i < mean->kept_extent[0]; i++) {
        for (int32_t j = 0; j < mean->kept_extent[1]; j++) {
            for (int32_t k = 0; k < mean->kept_extent[2]; k++) {
                const int32_t sum = sum_reduced(mean, input + i * stride[0] + j * stride[1] + k * stride[2]);
                const int32_t scaled = multiply_by_quantized(sum, mean->multiplier, mean->shift);

                *output++ = (int8_t)clamp(wrapping_add(scaled, mean->output_offset), INT8_MIN, INT8_MAX);
            }
        }
    }
}
