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
        const uint32_t word = channel->weights[x];

        w.upper[x] = (word & 0xff00u) | word << 24;
        w.lower[x] = word << 8 & 0xff00ff00u;
    }
    return w;
}

static int8_t finish(const flota_nn_dsp_depthwise3_channel_t *channel, int32_t sum)
{
    return (int8_t)dsp_ssat8(dsp_smmul(sum, channel->multiplier) >> 8);
}

/* The output that starts with word `at`, and the one below it where `lower` is not NULL. */
static void outputs(const flota_nn_dsp_depthwise3_channel_t *channel, int32_t bias, const uint32_t *at, int8_t *upper,
                    int8_t *lower)
{
    const weights_t w = unpack(channel);
    int32_t sum0 = bias, sum1 = bias;

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
        const int32_t bias = depthwise3_bias(&job->channels[c], job->bias_top[c]);
        int8_t *out = job->out + c;

        for (; plane != end; plane += column) {
            for (int32_t row = 0; row < rows; row += 3 - stride) {
                const int both = stride == 1 && row + 1 < rows;

                outputs(&job->channels[c], bias, plane + (stride == 1 ? row / 2 : row), out,
                        both ? out + job->row_step : NULL);
                out += (3 - stride) * job->row_step;
            }
            out += job->rewind + (made - (stride == 1 ? (rows + 1) / 2 * 2 : rows)) * job->row_step;
        }
    }
}

/* The words of four channels from two pixels, one below the other, as packed halfwords of channels 0, 2 and 1, 3. */
static void store_pair(uint32_t even, uint32_t odd, uint32_t even_below, uint32_t odd_below, uint32_t *to)
{
    to[0 * FLOTA_NN_DSP_DEPTHWISE3_CHANNEL] = dsp_pack_low(even, even_below);
    to[1 * FLOTA_NN_DSP_DEPTHWISE3_CHANNEL] = dsp_pack_low(odd, odd_below);
    to[2 * FLOTA_NN_DSP_DEPTHWISE3_CHANNEL] = dsp_pack_high(even, even_below);
    to[3 * FLOTA_NN_DSP_DEPTHWISE3_CHANNEL] = dsp_pack_high(odd, odd_below);
}

static void gather_column(const flota_nn_dsp_depthwise3_gather_t *g, const int8_t *from, uint32_t *to)
{
    const uint32_t *const end = to + g->words, zeros = g->zeros;

    if (g->edges & FLOTA_NN_DSP_DEPTHWISE3_KEPT) {
        for (int32_t i = 0; i < 4; i++) {
            to[i * FLOTA_NN_DSP_DEPTHWISE3_CHANNEL] =
                to[i * FLOTA_NN_DSP_DEPTHWISE3_CHANNEL + FLOTA_NN_DSP_DEPTHWISE3_TURNS];
        }
        to++;
    }
    if (g->edges & FLOTA_NN_DSP_DEPTHWISE3_ABOVE) {
        const uint32_t pixel = dsp_load32(from);

        store_pair(zeros, zeros, dsp_sxtb16(pixel), dsp_sxtb16_odd(pixel), to++);
        from += g->row_step;
    }
    for (int32_t i = 0; i < g->pairs; i++) {
        const uint32_t upper = dsp_load32(from), lower = dsp_load32(from + g->row_step);

        store_pair(dsp_sxtb16(upper), dsp_sxtb16_odd(upper), dsp_sxtb16(lower), dsp_sxtb16_odd(lower), to++);
        from += 2 * g->row_step;
    }
    if (g->edges & FLOTA_NN_DSP_DEPTHWISE3_BELOW) {
        const uint32_t pixel = dsp_load32(from);

        store_pair(dsp_sxtb16(pixel), dsp_sxtb16_odd(pixel), zeros, zeros, to++);
    }
    while (to != end) {
        store_pair(zeros, zeros, zeros, zeros, to++);
    }
}

void flota_nn_dsp_depthwise3_gather(const flota_nn_dsp_depthwise3_gather_t *gather)
{
    const int8_t *from = gather->from;

    for (uint32_t *to = gather->to; to != gather->to_end; to += FLOTA_NN_DSP_DEPTHWISE3_COLUMN) {
        gather_column(gather, from, to);
        from += gather->column_step;
    }
}

void flota_nn_dsp_depthwise3_s1(const flota_nn_dsp_depthwise3_job_t *job) { run(job, 1); }

void flota_nn_dsp_depthwise3_s2(const flota_nn_dsp_depthwise3_job_t *job) { run(job, 2); }
