/* gemm.S in C, for machines without its instructions. */
#include "gemm.h"

#include "dsp.h"

static const flota_nn_dsp_factors_t *factors_of(const flota_nn_dsp_gemm_t *gemm, int32_t group)
{
    return gemm->factors_stride != 0 ? &gemm->factors[group] : gemm->factors;
}

static int32_t finish(const flota_nn_dsp_factors_t *f, int32_t i, int32_t sum, int32_t offset)
{
    const int32_t shift = f->shift[i] + 1;
    const int32_t bias = (int32_t)((uint32_t)offset << f->shift[i]);

    return dsp_ssat8(dsp_requantize(sum, f->multiplier[i], shift, bias));
}

/* The values of the `used` channels of a group, from its four sums. */
static void store(const flota_nn_dsp_gemm_t *gemm, const flota_nn_dsp_factors_t *f, const int32_t *sum, int32_t used,
                  int8_t *out)
{
    for (int32_t i = 0; i < used; i++) {
        const int32_t odd = (int32_t)((uint32_t)sum[i] - (uint32_t)sum[i - i % 2]) >> 8;

        out[i] = (int8_t)finish(f, i, i % 2 != 0 ? odd : sum[i], gemm->offset);
    }
}

static void add_pair(const uint32_t *weights, uint32_t input, int32_t *sum)
{
    sum[0] = dsp_smlad(dsp_sxtb16(weights[0]), input, sum[0]);
    sum[1] = dsp_smlad(weights[0], input, sum[1]);
    sum[2] = dsp_smlad(dsp_sxtb16(weights[1]), input, sum[2]);
    sum[3] = dsp_smlad(weights[1], input, sum[3]);
}

/* The same from sums multiplied by 256. */
static void store_once(const flota_nn_dsp_gemm_t *gemm, const flota_nn_dsp_factors_t *f, const int32_t *sum,
                       int32_t used, int8_t *out)
{
    (void)gemm;
    for (int32_t i = 0; i < used; i++) {
        const uint32_t odd = (uint32_t)sum[i] - (uint32_t)sum[i - i % 2];
        const uint32_t even = ((uint32_t)sum[i] << 8) + f->shift[i / 2];

        out[i] = (int8_t)dsp_ssat8(dsp_smmul((int32_t)(i % 2 != 0 ? odd : even), f->multiplier[i]) >> 12);
    }
}

typedef void store_t(const flota_nn_dsp_gemm_t *gemm, const flota_nn_dsp_factors_t *f, const int32_t *sum, int32_t used,
                     int8_t *out);

static void multiply(const flota_nn_dsp_gemm_t *gemm, const uint32_t *panel, int8_t *out0, int8_t *out1, store_t *store_one)
{
    const uint32_t *weights = gemm->weights;

    for (int32_t g = 0; g < gemm->groups; g++) {
        const int32_t used = g + 1 < gemm->groups ? 4 : gemm->last_channels;
        int32_t sum0[4], sum1[4];

        memcpy(sum0, gemm->bias + 4 * g, sizeof sum0);
        memcpy(sum1, gemm->bias + 4 * g, sizeof sum1);
        for (int32_t k = 0; k < gemm->pairs; k++) {
            add_pair(weights, panel[2 * k], sum0);
            add_pair(weights, panel[2 * k + 1], sum1);
            weights += 2;
        }
        store_one(gemm, factors_of(gemm, g), sum0, used, out0 + 4 * g);
        store_one(gemm, factors_of(gemm, g), sum1, used, out1 + 4 * g);
    }
}

void flota_nn_dsp_gemm_4x2(const flota_nn_dsp_gemm_t *gemm, const uint32_t *panel, int8_t *out0, int8_t *out1)
{
    multiply(gemm, panel, out0, out1, store);
}

void flota_nn_dsp_gemm_4x2_once(const flota_nn_dsp_gemm_t *gemm, const uint32_t *panel, int8_t *out0, int8_t *out1)
{
    multiply(gemm, panel, out0, out1, store_once);
}

void flota_nn_dsp_gemm_4x1_s8(const flota_nn_dsp_gemm_t *gemm, const int8_t *column, int8_t *out)
{
    const uint32_t *weights = gemm->weights;

    for (int32_t g = 0; g < gemm->groups; g++) {
        const flota_nn_dsp_factors_t *f = factors_of(gemm, g);
        int32_t sum[4];

        memcpy(sum, gemm->bias + 4 * g, sizeof sum);
        for (int32_t k = 0; k < gemm->pairs; k += 2) {
            const uint32_t quad = dsp_load32(column + 2 * k);

            add_pair(weights, dsp_sxtb16(quad), sum);
            add_pair(weights + 2, dsp_sxtb16_odd(quad), sum);
            weights += 4;
        }
        store(gemm, f, sum, g + 1 < gemm->groups ? 4 : gemm->last_channels, out + 4 * g);
    }
}
