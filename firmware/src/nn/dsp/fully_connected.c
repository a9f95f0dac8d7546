#include "flota/nn_dsp.h"
#include "gemm.h"
#include "panel.h"

/* Copies a column and fills its last quad with zeros. Not memcpy, which would bring in more code than all of this. */
static const int8_t *whole_quads(const int8_t *column, int32_t count, int8_t *copy)
{
    for (int32_t i = 0; i < ((count + 3) & ~3); i++) {
        copy[i] = i < count ? column[i] : 0;
    }
    return copy;
}

void flota_nn_dsp_fully_connected_s8(const flota_nn_dsp_fully_connected_t *fc, const int8_t *input, int8_t *output,
                                     uint8_t *scratch)
{
    for (int32_t b = 0; b < fc->batches; b++) {
        const int8_t *column = (fc->in_features & 3) == 0 ? input : whole_quads(input, fc->in_features, (int8_t *)scratch);

        fc->gemm.multiply_one(&fc->gemm, column, output);
        clamp_values(&fc->gemm, output, fc->out_features);
        input += fc->in_features;
        output += fc->out_features;
    }
}
