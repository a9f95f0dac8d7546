#include <stddef.h>

#include "fixed_point.h"
#include "flota/nn.h"
#include "window.h"

/* Sum of one output channel; `in` is its input channel of the image, `wt` its weight at tap (0, 0). */
static int32_t channel_sum(const flota_nn_depthwise_t *c, const int8_t *in, const int8_t *wt, taps_t y, taps_t x,
                           int32_t sum)
{
    const flota_nn_window_t *w = &c->window;
    const int32_t in_step = w->dilation_x * c->input.channels;
    const int32_t wt_step = c->output.channels;

    for (int32_t ky = y.begin; ky < y.end; ky++) {
        const int32_t row = y.origin + ky * w->dilation_y;
        int32_t at = (row * c->input.width + x.origin + x.begin * w->dilation_x) * c->input.channels;
        int32_t tap = (ky * w->width + x.begin) * wt_step;

        for (int32_t kx = x.begin; kx < x.end; kx++) {
            sum += wt[tap] * (in[at] + c->input_offset);
            at += in_step;
            tap += wt_step;
        }
    }
    return sum;
}

static void output_pixel(const flota_nn_depthwise_t *c, const int8_t *image, taps_t y, taps_t x, int8_t *out)
{
    const int32_t multiplier = c->output.channels / c->input.channels;
    int32_t channel = 0;

    for (int32_t ic = 0; ic < c->input.channels; ic++) {
        for (int32_t m = 0; m < multiplier; m++) {
            const int32_t bias = c->bias != NULL ? c->bias[channel] : 0;
            const int32_t sum = channel_sum(c, image + ic, c->weights + channel, y, x, bias);

            out[channel] = requantize(&c->requantize, channel, sum);
            channel++;
        }
    }
}

void flota_nn_depthwise_s8(const flota_nn_depthwise_t *conv, const int8_t *input, int8_t *output)
{
    const flota_nn_window_t *w = &conv->window;
    const int32_t image = conv->input.height * conv->input.width * conv->input.channels;

    for (int32_t b = 0; b < conv->output.batches; b++) {
        for (int32_t oy = 0; oy < conv->output.height; oy++) {
            const taps_t y = window_taps(oy, w->stride_y, w->pad_y, w->dilation_y, w->height, conv->input.height);

            for (int32_t ox = 0; ox < conv->output.width; ox++) {
                const taps_t x = window_taps(ox, w->stride_x, w->pad_x, w->dilation_x, w->width, conv->input.width);

                output_pixel(conv, input + b * image, y, x, output);
                output += conv->output.channels;
            }
        }
    }
}
