#include <stddef.h>

#include "fixed_point.h"
#include "flota/nn.h"

void flota_nn_fully_connected_s8(const flota_nn_fully_connected_t *fc, const int8_t *input, int8_t *output)
{
    for (int32_t b = 0; b < fc->batches; b++) {
        const int8_t *weights = fc->weights;

        for (int32_t o = 0; o < fc->out_features; o++) {
            int32_t sum = fc->bias != NULL ? fc->bias[o] : 0;

            for (int32_t i = 0; i < fc->in_features; i++) {
                sum += weights[i] * (input[i] + fc->input_offset);
            }
            *output++ = requantize(&fc->requantize, o, sum);
            weights += fc->in_features;
        }
        input += fc->in_features;
    }
}
