/* depthwise3_exact.S in C, for machines without its instructions. */
#include "depthwise3.h"
#include "dsp.h"

/* A doubled sum, rounded twice. */
static int8_t finish(const flota_nn_dsp_depthwise3_exact_job_t *job, int32_t twice)
{
    const int32_t scaled = dsp_smmlar(twice, job->multiplier, job->rounding + (twice >> 31));

    return (int8_t)dsp_ssat8(scaled >> job->shift);
}

/* The doubled sum of the output that starts with word `at`, or of the one below it. */
static int32_t sum_of(const flota_nn_dsp_depthwise3_exact_job_t *job, const uint32_t *weights, const uint32_t *at,
                      int lower)
{
    int32_t sum = job->bias;

    for (int32_t x = 0; x < 3; x++) {
        const uint32_t lower_w = dsp_sxtb16(weights[x]);
        const uint32_t upper_w = dsp_pack_low(dsp_sxtb16_odd(weights[x]), lower_w);
        const uint32_t w01 = dsp_sadd16(upper_w, upper_w), w12 = dsp_sadd16(lower_w, lower_w);
        const uint32_t p = at[x * FLOTA_NN_DSP_DEPTHWISE3_COLUMN], q = at[x * FLOTA_NN_DSP_DEPTHWISE3_COLUMN + 1];

        sum = lower ? dsp_smlad(q, w12, dsp_smlatb(p, w01, sum)) : dsp_smlabt(q, w12, dsp_smlad(p, w01, sum));
    }
    return sum;
}

static void run(const flota_nn_dsp_depthwise3_exact_job_t *job, const uint32_t *weights, int32_t stride)
{
    const int32_t made = stride == 1 ? 2 * job->turns : job->turns;
    const int32_t rows = made + job->skip % 2;
    int8_t *out = job->out;

    for (const uint32_t *column = job->plane; column != job->columns_end;
         column += FLOTA_NN_DSP_DEPTHWISE3_COLUMN * stride) {
        for (int32_t row = 0; row < rows; row++) {
            const uint32_t *at = column + (stride == 1 ? row / 2 : row);

            out[row * job->row_step] = finish(job, sum_of(job, weights, at, stride == 1 && row % 2 != 0));
        }
        out += job->rewind + made * job->row_step;
    }
}

void flota_nn_dsp_depthwise3_exact_s1(const flota_nn_dsp_depthwise3_exact_job_t *job, const uint32_t *weights)
{
    run(job, weights, 1);
}

void flota_nn_dsp_depthwise3_exact_s2(const flota_nn_dsp_depthwise3_exact_job_t *job, const uint32_t *weights)
{
    run(job, weights, 2);
}
