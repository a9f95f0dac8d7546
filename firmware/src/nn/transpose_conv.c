#include <stddef.h>

#include "fixed_point.h"
#include "flota/nn.h"

/* The taps that meet one output row (or column): tap `first`, then every `stride`-th, from input position `origin` down. */
typedef struct {
    int32_t first, origin, count;
} meeting_t;

static meeting_t meeting_taps(int32_t position, int32_t stride, int32_t pad, int32_t window, int32_t input)
{
    const int32_t shifted = position + pad;
    meeting_t m = {.first = shifted % stride, .origin = shifted / stride, .count = 0};
    int32_t taps;

    if (m.origin > input - 1) { /* the first taps would meet what follows the last input row */
        m.first += (m.origin - (input - 1)) * stride;
        m.origin = input - 1;
    }
    taps = (window - m.first + stride - 1) / stride;
    m.count = taps < m.origin + 1 ? taps : m.origin + 1;
    return m;
}

static int32_t pixel_sum(const flota_nn_depthwise_t *c, const int8_t *image, meeting_t y, meeting_t x,
                         const int8_t *weights, int32_t sum)
{
    const int32_t depth = c->input.channels;

    for (int32_t j = 0; j < y.count; j++) {
        for (int32_t i = 0; i < x.count; i++) {
            const int8_t *in = image + ((y.origin - j) * c->input.width + x.origin - i) * depth;
            const int32_t tap = (y.first + j * c->window.stride_y) * c->window.width + x.first + i * c->window.stride_x;
            const int8_t *w = weights + tap * depth;

            for (int32_t k = 0; k < depth; k++) {
                sum += w[k] * (in[k] + c->input_offset);
            }
        }
    }
    return sum;
}

void flota_nn_transpose_conv_s8(const flota_nn_depthwise_t *conv, const int8_t *input, int8_t *output)
{
    const flota_nn_window_t *w = &conv->window;
    const int32_t image = conv->input.height * conv->input.width * conv->input.channels;
    const int32_t filter = w->height * w->width * conv->input.channels;

    for (int32_t b = 0; b < conv->output.batches; b++) {
        for (int32_t oy = 0; oy < conv->output.height; oy++) {
            const meeting_t y = meeting_taps(oy, w->stride_y, w->pad_y, w->height, conv->input.height);

            for (int32_t ox = 0; ox < conv->output.width; ox++) {
                const meeting_t x = meeting_taps(ox, w->stride_x, w->pad_x, w->width, conv->input.width);

                for (int32_t o = 0; o < conv->output.channels; o++) {
                    const int32_t bias = conv->bias != NULL ? conv->bias[o] : 0;
                    const int8_t *weights = conv->weights + o * filter;

                    *output++ = requantize(&conv->requantize, o, pixel_sum(conv, input, y, x, weights, bias));
                }
            }
        }
        input += image;
    }
}
