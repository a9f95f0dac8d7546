#include "depthwise3.h"

void flota_nn_dsp_depthwise3_exact(const flota_nn_dsp_depthwise3_t *conv, int32_t channel, const uint32_t *plane,
                                   int32_t rows, int8_t *out)
{
    const flota_nn_dsp_depthwise3_channel_t *const c = &conv->channel[channel];
    const flota_nn_dsp_depthwise3_exact_t *const e = &conv->exact[depthwise3_bias(c, conv->bias_top[channel])];
    const int32_t turns = conv->stride == 1 ? rows / 2 : rows;
    const int32_t left_out = 4 * (FLOTA_NN_DSP_DEPTHWISE3_TURNS - turns);
    const int32_t made = conv->stride == 1 ? 2 * turns : turns;
    const int32_t column = FLOTA_NN_DSP_DEPTHWISE3_COLUMN * conv->stride;
    const flota_nn_dsp_depthwise3_exact_job_t job = {
        .advance = 4 * column + left_out,
        .rewind = conv->out_column_step - made * conv->out_row_step,
        .columns_end = plane + conv->out_columns * column,
        .skip = 2 * left_out + (rows > made),
        .turns = turns,
        .bias = 2 * e->bias,
        .multiplier = e->multiplier,
        .rounding = e->rounding,
        .shift = e->shift,
        .row_step = conv->out_row_step,
        .plane = plane,
        .out = out,
    };

    if (conv->stride == 1) {
        flota_nn_dsp_depthwise3_exact_s1(&job, c->weights);
    } else {
        flota_nn_dsp_depthwise3_exact_s2(&job, c->weights);
    }
}
