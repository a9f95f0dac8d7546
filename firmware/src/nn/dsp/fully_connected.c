#include <string.h>

#include "flota/nn_dsp.h"
#include "gemm.h"
#include "panel.h"

void flota_nn_dsp_fully_connected_s8(const flota_nn_dsp_fully_connected_t *fc, const int8_t *input, int8_t *output,
                                     uint8_t *scratch)
{
    const int32_t bytes = fc->in_features;

    for (int32_t b = 0; b < fc->batches; b++) {
        const int8_t *column = input;

        if (bytes % 4 != 0) {
            memset(scratch, 0, (size_t)(2 * fc->gemm.pairs));
            column = memcpy(scratch, input, (size_t)bytes);
        }
        flota_nn_dsp_gemm_4x1_s8(&fc->gemm, column, output);
        clamp_values(&fc->gemm, output, fc->out_features);
        input += bytes;
        output += fc->out_features;
    }
}
