#include "flota/nn_dsp.h"
#include "gemm.h"
#include "panel.h"

void flota_nn_dsp_pointwise_s8(const flota_nn_dsp_pointwise_t *conv, const int8_t *input, int8_t *output,
                               uint8_t *scratch)
{
    uint32_t *const panel = (uint32_t *)(void *)scratch;
    int8_t *const unused = (int8_t *)(panel + 2 * conv->gemm.pairs);
    const int32_t in = conv->in_channels, out = conv->out_channels;

    for (int32_t left = conv->pixels; left > 0; left -= 2) {
        /* The last pixel of an odd number is computed twice. */
        const int32_t two = left >= 2;

        flota_nn_dsp_panel_append_both(input, two ? input + in : input, in, panel);
        conv->gemm.multiply(&conv->gemm, panel, output, two ? output + out : unused);
        clamp_values(&conv->gemm, output, two ? 2 * out : out);
        input += 2 * in;
        output += 2 * out;
    }
}
