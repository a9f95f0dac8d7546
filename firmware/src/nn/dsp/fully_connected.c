#include "flota/nn_dsp.h"
#include "gemm.h"
#include "panel.h"
#include "quads.h"

void flota_nn_dsp_fully_connected_s8(const flota_nn_dsp_fully_connected_t *fc, const int8_t *input, int8_t *output,
                                     uint8_t *scratch)
{
    for (int32_t b = 0; b < fc->batches; b++) {
        const int8_t *column = quads_of(input, fc->in_features, (int8_t *)scratch);

        fc->gemm.multiply_one(&fc->gemm, column, output);
        clamp_values(&fc->gemm, output, fc->out_features);
        input += fc->in_features;
        output += fc->out_features;
    }
}
