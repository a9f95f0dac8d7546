/* gemm.S in C, for machines without its instructions. */
#include "gemm.h"

#include "dsp.h"
#include "flota/nn_dsp_recurrent.h"

static const int32_t *factors_of(const flota_nn_dsp_gemm_t *gemm, int32_t group)
{
    return gemm->factors + group * (gemm->factors_stride / 4);
}

static int32_t used_channels(const flota_nn_dsp_gemm_t *gemm, int32_t group)
{
    return group + 1 < gemm->groups ? 4 : gemm->last_channels;
}

/* 256 times the sum of an odd channel, from the sums of its pair. */
static uint32_t odd_sum(const int32_t *sum, int32_t channel)
{
    return (uint32_t)sum[channel] - (uint32_t)sum[channel - 1];
}

/* Sums begin with the biases; how results come of them is what the products differ in. */
typedef struct {
    void (*begin)(const int32_t *bias, int32_t *sum);
    void (*store)(const flota_nn_dsp_gemm_t *gemm, int32_t group, const int32_t *sum, int8_t *out);
} rounding_t;

static void begin_twice(const int32_t *bias, int32_t *sum) { memcpy(sum, bias, 4 * sizeof *sum); }

static void store_twice(const flota_nn_dsp_gemm_t *gemm, int32_t group, const int32_t *sum, int8_t *out)
{
    const int32_t *factors = factors_of(gemm, group);

    for (int32_t i = 0; i < used_channels(gemm, group); i++) {
        const int32_t less_one = (int32_t)((uint32_t)factors[4] >> (8 * i) & 0xffu);
        const int32_t bias = (int32_t)((uint32_t)gemm->offset << less_one);
        const int32_t whole = i % 2 != 0 ? (int32_t)odd_sum(sum, i) >> 8 : sum[i];

        out[i] = (int8_t)dsp_ssat8(dsp_requantize(whole, factors[i], less_one + 1, bias));
    }
}

static void begin_once(const int32_t *bias, int32_t *sum)
{
    for (int32_t i = 0; i < 4; i++) {
        sum[i] = i % 2 != 0 ? bias[i] : bias[i] >> 8;
    }
}

static void store_once(const flota_nn_dsp_gemm_t *gemm, int32_t group, const int32_t *sum, int8_t *out)
{
    const int32_t *factors = factors_of(gemm, group);

    for (int32_t i = 0; i < used_channels(gemm, group); i++) {
        const uint32_t even = ((uint32_t)sum[i] << 8) + ((uint32_t)gemm->bias[4 * group + i] & 0xffu);
        const uint32_t finer = i % 2 != 0 ? odd_sum(sum, i) : even;

        out[i] = (int8_t)dsp_ssat8(dsp_smmul((int32_t)finer, factors[i]) >> 12);
    }
}

static const rounding_t TWICE = {begin_twice, store_twice}, ONCE = {begin_once, store_once};

static void add_pair(const uint32_t *weights, uint32_t input, int32_t *sum)
{
    sum[0] = dsp_smlad(dsp_sxtb16(weights[0]), input, sum[0]);
    sum[1] = dsp_smlad(weights[0], input, sum[1]);
    sum[2] = dsp_smlad(dsp_sxtb16(weights[1]), input, sum[2]);
    sum[3] = dsp_smlad(weights[1], input, sum[3]);
}

static void multiply(const rounding_t *rounding, const flota_nn_dsp_gemm_t *gemm, const uint32_t *panel, int8_t *out0,
                     int8_t *out1)
{
    const uint32_t *weights = gemm->weights;

    for (int32_t g = 0; g < gemm->groups; g++) {
        int32_t sum0[4], sum1[4];

        rounding->begin(gemm->bias + 4 * g, sum0);
        rounding->begin(gemm->bias + 4 * g, sum1);
        for (int32_t k = 0; k < gemm->pairs; k++) {
            add_pair(weights, panel[2 * k], sum0);
            add_pair(weights, panel[2 * k + 1], sum1);
            weights += 2;
        }
        rounding->store(gemm, g, sum0, out0 + 4 * g);
        rounding->store(gemm, g, sum1, out1 + 4 * g);
    }
}

void flota_nn_dsp_gemm_4x2(const flota_nn_dsp_gemm_t *gemm, const uint32_t *panel, int8_t *out0, int8_t *out1)
{
    multiply(&TWICE, gemm, panel, out0, out1);
}

void flota_nn_dsp_gemm_4x2_once(const flota_nn_dsp_gemm_t *gemm, const uint32_t *panel, int8_t *out0, int8_t *out1)
{
    multiply(&ONCE, gemm, panel, out0, out1);
}

/* The sums of a group by one column. */
static void multiply_one(const flota_nn_dsp_gemm_t *gemm, int32_t group, const int8_t *column, int32_t *sum)
{
    const uint32_t *weights = gemm->weights + 2 * gemm->pairs * group;

    begin_twice(gemm->bias + 4 * group, sum);
    for (int32_t k = 0; k < gemm->pairs; k += 2) {
        const uint32_t quad = dsp_load32(column + 2 * k);

        add_pair(weights, dsp_sxtb16(quad), sum);
        add_pair(weights + 2, dsp_sxtb16_odd(quad), sum);
        weights += 4;
    }
}

void flota_nn_dsp_gemm_4x1_s8(const flota_nn_dsp_gemm_t *gemm, const int8_t *column, int8_t *out)
{
    for (int32_t g = 0; g < gemm->groups; g++) {
        int32_t sum[4];

        multiply_one(gemm, g, column, sum);
        store_twice(gemm, g, sum, out + 4 * g);
    }
}

/* `less_one`: the right shift less one, or minus one less the left shift. */
static int32_t finish16(int32_t sum, int32_t multiplier, int32_t less_one)
{
    if (less_one < 0) {
        return dsp_ssat16(dsp_smmulr(wrapping_shift_left(sum, -less_one), multiplier));
    }
    return dsp_ssat16(dsp_requantize(sum, multiplier, less_one + 1, 1 << less_one));
}

void flota_nn_dsp_gemm_4x1_s16(const flota_nn_dsp_gemm_t *gemm, const int8_t *column, int16_t *out)
{
    for (int32_t g = 0; g < gemm->groups; g++) {
        const int32_t *factors = factors_of(gemm, g);
        int32_t sum[4];

        multiply_one(gemm, g, column, sum);
        for (int32_t i = 0; i < 4; i++) {
            const int32_t less_one = (int8_t)(uint8_t)((uint32_t)factors[4] >> (8 * i));
            const int32_t whole = i % 2 != 0 ? (int32_t)odd_sum(sum, i) >> 8 : sum[i];

            out[4 * g + i] = (int16_t)dsp_ssat16(out[4 * g + i] + finish16(whole, factors[i], less_one));
        }
    }
}
