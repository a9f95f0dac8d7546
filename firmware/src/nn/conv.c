#include <stddef.h>

#include "fixed_point.h"
#include "flota/nn.h"
#include "window.h"

static int32_t dot(const int8_t *x, const int8_t *w, int32_t n, int32_t offset, int32_t sum)
{
    for (int32_t i = 0; i < n; i++) {
        sum += w[i] * (x[i] + offset);
    }
    return sum;
}

/* One output value: `x` is channel 0 of the group at the window's origin, which may lie outside the image. */
static int32_t window_sum(const flota_nn_conv_t *c, const int8_t *image, int32_t first_channel, taps_t y, taps_t x,
                          const int8_t *weights, int32_t sum)
{
    const flota_nn_window_t *w = &c->window;
    const int32_t depth = c->group_channels;
    /* Neighbouring taps are neighbours in memory: one run covers a whole row of the window. */
    const int32_t dense = w->dilation_x == 1 && depth == c->input.channels;
    const int32_t run = dense ? (x.end - x.begin) * depth : depth;
    const int32_t runs = dense ? (x.end > x.begin) : x.end - x.begin;

    for (int32_t ky = y.begin; ky < y.end; ky++) {
        const int32_t row = y.origin + ky * w->dilation_y;
        const int32_t column = x.origin + x.begin * w->dilation_x;
        const int8_t *in = image + (row * c->input.width + column) * c->input.channels + first_channel;
        const int8_t *wt = weights + (ky * w->width + x.begin) * depth;

        for (int32_t r = 0; r < runs; r++) {
            sum = dot(in, wt, run, c->input_offset, sum);
            in += w->dilation_x * c->input.channels;
            wt += depth;
        }
    }
    return sum;
}

static void output_pixel(const flota_nn_conv_t *c, const int8_t *image, taps_t y, taps_t x, int8_t *out)
{
    const int32_t groups = c->input.channels / c->group_channels;
    const int32_t per_group = c->output.channels / groups;
    const int32_t filter = c->window.height * c->window.width * c->group_channels;
    const int8_t *weights = c->weights;
    int32_t channel = 0;

    for (int32_t g = 0; g < groups; g++) {
        for (int32_t i = 0; i < per_group; i++) {
            const int32_t bias = c->bias != NULL ? c->bias[channel] : 0;
            const int32_t sum = window_sum(c, image, g * c->group_channels, y, x, weights, bias);

            out[channel] = requantize(&c->requantize, channel, sum);
            weights += filter;
            channel++;
        }
    }
}

void flota_nn_conv_s8(const flota_nn_conv_t *conv, const int8_t *input, int8_t *output)
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
