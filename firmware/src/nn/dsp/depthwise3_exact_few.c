/* depthwise3_exact.c in a fifth of its code, for layers with few such channels. */
#include "depthwise3.h"
#include "dsp.h"

/* Packed weights (w0, w1) and (w1, w2) of three columns. */
typedef struct {
    uint32_t upper[3], lower[3];
} weights_t;

static int8_t finish(const flota_nn_dsp_depthwise3_exact_t *e, int32_t sum)
{
    return (int8_t)dsp_ssat8(dsp_requantize(sum, e->multiplier, e->shift, e->rounding));
}

/* The output that words p and q of three columns give, p being the upper ones. */
static inline int32_t upper_sum(const weights_t *w, const uint32_t *p, const uint32_t *q, int32_t bias)
{
    int32_t sum = bias;

    for (int32_t x = 0; x < 3; x++) {
        sum = dsp_smlabt(q[x], w->lower[x], dsp_smlad(p[x], w->upper[x], sum));
    }
    return sum;
}

/* The output below it. */
static inline int32_t lower_sum(const weights_t *w, const uint32_t *p, const uint32_t *q, int32_t bias)
{
    int32_t sum = bias;

    for (int32_t x = 0; x < 3; x++) {
        sum = dsp_smlad(q[x], w->lower[x], dsp_smlatb(p[x], w->upper[x], sum));
    }
    return sum;
}

static void run_column(const flota_nn_dsp_depthwise3_exact_t *e, const weights_t *w, const uint32_t *column,
                       int32_t rows, int32_t stride, int32_t row_step, int8_t *out)
{
    uint32_t p[3], q[3];

    for (int32_t x = 0; x < 3; x++) {
        p[x] = column[x * FLOTA_NN_DSP_DEPTHWISE3_COLUMN];
    }
    for (int32_t row = 0; row < rows; row++) {
        column++;
        for (int32_t x = 0; x < 3; x++) {
            q[x] = column[x * FLOTA_NN_DSP_DEPTHWISE3_COLUMN];
        }
        *out = finish(e, upper_sum(w, p, q, e->bias));
        out += row_step;
        if (stride == 1 && ++row < rows) {
            *out = finish(e, lower_sum(w, p, q, e->bias));
            out += row_step;
        }
        for (int32_t x = 0; x < 3; x++) {
            p[x] = q[x];
        }
    }
}

void flota_nn_dsp_depthwise3_exact_few(const flota_nn_dsp_depthwise3_t *conv, int32_t channel, const uint32_t *plane,
                                       int32_t rows, int8_t *out)
{
    const flota_nn_dsp_depthwise3_channel_t *const c = &conv->channel[channel];
    const flota_nn_dsp_depthwise3_exact_t e = conv->exact[depthwise3_bias(c, conv->bias_top[channel])];
    const int32_t columns = conv->out_columns, column_step = conv->out_column_step;
    weights_t w;

    for (int32_t x = 0; x < 3; x++) {
        w.lower[x] = dsp_sxtb16(c->weights[x]);
        w.upper[x] = dsp_pack_low(dsp_sxtb16_odd(c->weights[x]), w.lower[x]);
    }
    for (int32_t x = 0; x < columns; x++) {
        run_column(&e, &w, plane, rows, conv->stride, conv->out_row_step, out);
        plane += FLOTA_NN_DSP_DEPTHWISE3_COLUMN * conv->stride;
        out += column_step;
    }
}
