#include "fixed_point.h"
#include "flota/nn.h"
#include "mean.h"

void flota_nn_mean_s8(const flota_nn_mean_t *mean, const int8_t *input, int8_t *output)
{
    const int32_t *stride = mean->kept_stride;

    for (int32_t i = 0; i < mean->kept_extent[0]; i++) {
        for (int32_t j = 0; j < mean->kept_extent[1]; j++) {
            for (int32_t k = 0; k < mean->kept_extent[2]; k++) {
                const int32_t sum = mean_sum(mean, input + i * stride[0] + j * stride[1] + k * stride[2]);
                const int32_t scaled = multiply_by_quantized(sum, mean->multiplier, mean->shift);

                *output++ = (int8_t)clamp(wrapping_add(scaled, mean->output_offset), INT8_MIN, INT8_MAX);
            }
        }
    }
}
