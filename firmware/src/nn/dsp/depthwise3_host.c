/* depthwise3.S in C, for machines without its instructions. */
#include "depthwise3.h"

#include "dsp.h"

typedef struct {
    uint32_t upper[3], lower[3]; /* weights (w0, w1) and (w1, w2) of each column, times 256 */
} weights_t;

static weights_t unpack(const flota_nn_dsp_depthwise3_channel_t *channel)
{
    weights_t w;

    for (int32_t x = 0; x < 3; x++) {
        w.upper[x] = channel->weights[x] & 0xff00ff00u;
        w.lower[x] = channel->weights[x] << 8 & 0xff00ff00u;
    }
    return w;
}

static int8_t finish(const flota_nn_dsp_depthwise3_channel_t *channel, int32_t sum)
{
    return (int8_t)dsp_ssat8(dsp_smmul(sum, channel->multiplier) >> 8);
}

/* The output that starts with word `at`, and the one below it where `lower` is not NULL. */
static void outputs(const flota_nn_dsp_depthwise3_channel_t *channel, const uint32_t *at, int8_t *upper, int8_t *lower)
{
    const weights_t w = unpack(channel);
    int32_t sum0 = channel->bias, sum1 = channel->bias;

    for (int32_t x = 0; x < 3; x++) {
        const uint32_t p = at[x * FLOTA_NN_DSP_DEPTHWISE3_COLUMN], q = at[x * FLOTA_NN_DSP_DEPTHWISE3_COLUMN + 1];

        sum0 = dsp_smlabt(q, w.lower[x], dsp_smlad(p, w.upper[x], sum0));
        sum1 = dsp_smlad(q, w.lower[x], dsp_smlatb(p, w.upper[x], sum1));
    }
    *upper = finish(channel, sum0);
    if (lower != NULL) {
        *lower = finish(channel, sum1);
    }
}

static void run(const flota_nn_dsp_depthwise3_job_t *job, int32_t stride)
{
    const int32_t channels = (int32_t)(job->channels_end - job->channels);
    const int32_t made = stride == 1 ? 2 * job->turns : job->turns;
    const int32_t rows = made + job->skip % 2;
    const int32_t column = FLOTA_NN_DSP_DEPTHWISE3_COLUMN * stride;

    for (int32_t c = 0; c < channels; c++) {
        const uint32_t *plane = job->plane + c * FLOTA_NN_DSP_DEPTHWISE3_CHANNEL;
        const uint32_t *const end = job->columns_end + (c + 1) * FLOTA_NN_DSP_DEPTHWISE3_CHANNEL;
        int8_t *out = job->out + c;

        for (; plane != end; plane += column) {
            for (int32_t row = 0; row < rows; row += 3 - stride) {
                const int both = stride == 1 && row + 1 < rows;

                outputs(&job->channels[c], plane + (stride == 1 ? row / 2 : row), out,
                        both ? out + job->row_step : NULL);
                out += (3 - stride) * job->row_step;
            }
            out += job->rewind + (made - (stride == 1 ? (rows + 1) / 2 * 2 : rows)) * job->row_step;
        }
    }
}

void flota_nn_dsp_depthwise3_s1(const flota_nn_dsp_depthwise3_job_t *job) { run(job, 1); }

void flota_nn_dsp_depthwise3_s2(const flota_nn_dsp_depthwise3_job_t *job) { run(job, 2); }
