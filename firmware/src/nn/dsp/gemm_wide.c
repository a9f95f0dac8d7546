#include "dsp.h"
#include "flota/nn_dsp_recurrent.h"
#include "gemm.h"

static int32_t scale(const flota_nn_dsp_gemm_t *gemm, int32_t group, int32_t place, int32_t sum)
{
    const int32_t *factors = gemm->factors + group * (gemm->factors_stride / 4);
    const int8_t shift = (int8_t)((uint32_t)factors[4] >> (8 * place));

    return multiply_by_quantized(sum, factors[place], shift);
}

static int8_t finish(const flota_nn_dsp_gemm_t *gemm, int32_t group, int32_t place, int32_t sum)
{
    return (int8_t)dsp_ssat8(wrapping_add(scale(gemm, group, place, sum), gemm->offset >> 1));
}

/* Sums of two neighbouring channels of a group by two columns, over all quads. */
static void sum_columns(const uint32_t *weights, const uint32_t *panel, int32_t quads, int32_t sum[4])
{
    int32_t a0 = sum[0], a1 = sum[1], b0 = sum[2], b1 = sum[3];

    for (; quads != 0; quads--) {
        const uint32_t a = weights[0], b = weights[1];
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
        weights += 4;
        panel += 4;
    }
    sum[0] = a0;
    sum[1] = a1;
    sum[2] = b0;
    sum[3] = b1;
}

void flota_nn_dsp_gemm_wide(const flota_nn_dsp_gemm_t *gemm, const uint32_t *panel, int8_t *out0, int8_t *out1)
{
    const int32_t quads = gemm->pairs >> 1;

    for (int32_t group = 0; group < gemm->groups; group++) {
        const int32_t used = group + 1 < gemm->groups ? 4 : gemm->last_channels;
        const uint32_t *weights = gemm->weights + 4 * quads * group;

        for (int32_t place = 0; place < used; place += 2) {
            const int32_t *bias = gemm->bias + 4 * group + place;
            int32_t sum[4] = {bias[0], bias[0], bias[1], bias[1]};

            sum_columns(weights + place, panel, quads, sum);
            for (int32_t i = 0; i < 2 && place + i < used; i++) {
                *out0++ = finish(gemm, group, place + i, sum[2 * i]);
                *out1++ = finish(gemm, group, place + i, sum[2 * i + 1]);
            }
        }
    }
}

/* Sums of the four channels of a group by one column of int8 values, over all quads. */
static void sum_column(const uint32_t *weights, const int8_t *column, int32_t quads, int32_t sum[4])
{
    int32_t a = sum[0], b = sum[1], c = sum[2], d = sum[3];

    for (; quads != 0; quads--) {
        const uint32_t quad = dsp_load32(column);
        const uint32_t even = dsp_sxtb16(quad), odd = dsp_sxtb16_odd(quad);

        a = dsp_smlad(dsp_sxtb16_odd(weights[0]), odd, dsp_smlad(dsp_sxtb16(weights[0]), even, a));
        b = dsp_smlad(dsp_sxtb16_odd(weights[1]), odd, dsp_smlad(dsp_sxtb16(weights[1]), even, b));
        c = dsp_smlad(dsp_sxtb16_odd(weights[2]), odd, dsp_smlad(dsp_sxtb16(weights[2]), even, c));
        d = dsp_smlad(dsp_sxtb16_odd(weights[3]), odd, dsp_smlad(dsp_sxtb16(weights[3]), even, d));
        weights += 4;
        column += 4;
    }
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}

void flota_nn_dsp_gemm_wide_s8(const flota_nn_dsp_gemm_t *gemm, const int8_t *column, int8_t *out)
{
    const int32_t quads = gemm->pairs >> 1;

    for (int32_t group = 0; group < gemm->groups; group++) {
        const int32_t *bias = gemm->bias + 4 * group;
        int32_t sum[4] = {bias[0], bias[1], bias[2], bias[3]};

        sum_column(gemm->weights + 4 * quads * group, column, quads, sum);
        for (int32_t i = 0; i < (group + 1 < gemm->groups ? 4 : gemm->last_channels); i++) {
            *out++ = finish(gemm, group, i, sum[i]);
        }
    }
}

void flota_nn_dsp_gemm_wide_s16(const flota_nn_dsp_gemm_t *gemm, const int8_t *column, int16_t *out)
{
    const int32_t quads = gemm->pairs >> 1;

    for (int32_t group = 0; group < gemm->groups; group++) {
        const int32_t *bias = gemm->bias + 4 * group;
        int32_t sum[4] = {bias[0], bias[1], bias[2], bias[3]};

        sum_column(gemm->weights + 4 * quads * group, column, quads, sum);
        for (int32_t i = 0; i < 4; i++) {
            *out = (int16_t)dsp_ssat16(*out + dsp_ssat16(scale(gemm, group, i, sum[i])));
            out++;
        }
    }
}
