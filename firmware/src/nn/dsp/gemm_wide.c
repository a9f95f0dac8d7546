#include "dsp.h"
#include "gemm.h"

/* Sums of two channels by two columns over all quads; `other` are the weights of the second channel. */
static void sums(const uint32_t *weights, const uint32_t *other, const uint32_t *panel, int32_t quads, int32_t sum[4])
{
    int32_t a0 = sum[0], a1 = sum[1], b0 = sum[2], b1 = sum[3];

    for (; quads != 0; quads--) {
        const uint32_t a = *weights++, b = *other++;
        const uint32_t a_even = dsp_sxtb16(a), a_odd = dsp_sxtb16_odd(a);
        const uint32_t b_even = dsp_sxtb16(b), b_odd = dsp_sxtb16_odd(b);

        a0 = dsp_smlad(a_even, panel[0], a0);
        b0 = dsp_smlad(b_even, panel[0], b0);
        a1 = dsp_smlad(a_even, panel[1], a1);
        b1 = dsp_smlad(b_even, panel[1], b1);
        a0 = dsp_smlad(a_odd, panel[2], a0);
        b0 = dsp_smlad(b_odd, panel[2], b0);
        a1 = dsp_smlad(a_odd, panel[3], a1);
        b1 = dsp_smlad(b_odd, panel[3], b1);
        panel += 4;
    }
    sum[0] = a0;
    sum[1] = a1;
    sum[2] = b0;
    sum[3] = b1;
}

static int8_t finish(const flota_nn_dsp_gemm_t *gemm, int32_t channel, int32_t sum)
{
    const int32_t stride = gemm->factors_stride != 0 ? channel / 4 : 0;
    const flota_nn_dsp_factors_t *f = &gemm->factors[stride];
    const int32_t scaled = multiply_by_quantized(sum, f->multiplier[channel % 4], (int8_t)f->shift[channel % 4]);

    return (int8_t)clamp(wrapping_add(scaled, gemm->offset >> 1), INT8_MIN, INT8_MAX);
}

void flota_nn_dsp_gemm_wide(const flota_nn_dsp_gemm_t *gemm, const uint32_t *panel, int8_t *out0, int8_t *out1)
{
    const int32_t channels = 4 * (gemm->groups - 1) + gemm->last_channels, quads = (gemm->pairs + 1) / 2;

    for (int32_t channel = 0; channel < channels; channel += 2) {
        const uint32_t *weights = gemm->weights + channel * quads;
        const int32_t *bias = gemm->bias + channel;
        int32_t sum[4] = {bias[0], bias[0], bias[1], bias[1]};

        sums(weights, weights + quads, panel, quads, sum);
        out0[channel] = finish(gemm, channel, sum[0]);
        out1[channel] = finish(gemm, channel, sum[1]);
        if (channel + 1 < channels) {
            out0[channel + 1] = finish(gemm, channel + 1, sum[2]);
            out1[channel + 1] = finish(gemm, channel + 1, sum[3]);
        }
    }
}
