#include "flota/nn_dsp.h"
#include "gemm.h"
#include "panel.h"

void flota_nn_dsp_pointwise_s8(const flota_nn_dsp_pointwise_t *conv, const int8_t *input, int8_t *output,
                               uint8_t *scratch)
{
    uint32_t *const panel = (uint32_t *)(void *)scratch;
    int8_t *const unused = (int8_t *)(panel + 2 * conv->gemm.pairs);
    const int32_t in = conv->in_channels, out = conv->out_channels;
    int32_t left = conv->pixels;

    for (; left >= 2; left -= 2) {
        panel_append(input, in, panel);
        panel_append(input + in, in, panel + 1);
        flota_nn_dsp_gemm_4x2(&conv->gemm, panel, output, output + out);
        clamp_values(&conv->gemm, output, 2 * out);
        input += 2 * in;
        output += 2 * out;
    }
    if (left != 0) {
        /* The second column is whatever the panel still holds; its results go nowhere. */
        panel_append(input, in, panel);
        if (conv->pixels == 1) {
            panel_append(input, in, panel + 1);
        }
        flota_nn_dsp_gemm_4x2(&conv->gemm, panel, output, unused);
        clamp_values(&conv->gemm, output, out);
    }
}
