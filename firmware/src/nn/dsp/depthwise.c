#include "../window.h"
#include "dsp.h"
#include "flota/nn_dsp_depthwise.h"

/* Inlined twice, with a constant `scaled`. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* The taps of one output pixel that lie inside the image, from `x` and `w` on: `outer` times `inner` of them, at least
 * one. */
typedef struct {
    const int8_t *x, *w;
    int32_t outer, inner;
    int32_t outer_x, inner_x, outer_w, inner_w; /* steps in bytes; the outer ones from the end of the inner loop */
} taps_of_pixel_t;

typedef struct {
    int32_t sum[4];
} sums_t;

/* Four channels. `scaled`: weights, and so the sums, are taken 256 times. */
ALWAYS_INLINE sums_t add_taps(const taps_of_pixel_t *t, int32_t channel, uint32_t offset, sums_t sums,
                              const int scaled)
{
    const uint32_t high_bytes = dsp_in_register(0xff00ff00u);
    const int8_t *x = t->x + channel, *w = t->w + channel;
    int32_t s0 = sums.sum[0], s1 = sums.sum[1], s2 = sums.sum[2], s3 = sums.sum[3];

    for (int32_t i = t->outer; i != 0; i--) {
        int32_t k = t->inner;

        do {
            const uint32_t pixel = dsp_load32(x), weights = dsp_load32(w);
            const uint32_t even = dsp_sxtab16(offset, pixel), odd = dsp_sxtab16_odd(offset, pixel);
            const uint32_t even_w = scaled ? high_bytes & weights << 8 : dsp_sxtb16(weights);
            const uint32_t odd_w = scaled ? high_bytes & weights : dsp_sxtb16_odd(weights);

            s0 = dsp_smlabb(even, even_w, s0);
            s1 = dsp_smlabb(odd, odd_w, s1);
            s2 = dsp_smlatt(even, even_w, s2);
            s3 = dsp_smlatt(odd, odd_w, s3);
            x = dsp_at(x + t->inner_x);
            w = dsp_at(w + t->inner_w);
        } while (--k != 0);
        x += t->outer_x;
        w += t->outer_w;
    }
    return (sums_t){{s0, s1, s2, s3}};
}

static int32_t add_taps_of_one(const taps_of_pixel_t *t, int32_t in_channel, int32_t channel, int32_t offset)
{
    const int8_t *x = t->x + in_channel, *w = t->w + channel;
    int32_t sum = 0;

    for (int32_t i = t->outer; i != 0; i--) {
        int32_t k = t->inner;

        do {
            sum += *w * (*x + offset);
            x = dsp_at(x + t->inner_x);
            w = dsp_at(w + t->inner_w);
        } while (--k != 0);
        x += t->outer_x;
        w += t->outer_w;
    }
    return sum;
}

ALWAYS_INLINE int32_t finish(const flota_nn_dsp_depthwise_t *c, int32_t channel, int32_t sum, const int scaled)
{
    if (scaled) {
        return dsp_ssat8_asr(dsp_smmul(sum, c->multiplier[channel]), 8);
    }
    const int32_t shift = c->shift[channel];
    const int32_t rounding = (int32_t)((uint32_t)(2 * c->output_zero + 1) << (shift - 1));

    return dsp_ssat8(dsp_requantize(sum, c->multiplier[channel], shift, rounding));
}

ALWAYS_INLINE void run_pixel(const flota_nn_dsp_depthwise_t *c, const taps_of_pixel_t *t, int8_t *out, const int scaled)
{
    const int32_t channels = c->output.channels;
    const int32_t multiplier = channels / c->input.channels;
    const uint32_t offset = 0x00010001u * (uint16_t)c->input_offset;
    int32_t channel = 0;

    for (; multiplier == 1 && channel + 4 <= channels; channel += 4) {
        const int32_t *const bias = c->bias + channel;
        const sums_t s = add_taps(t, channel, offset, (sums_t){{bias[0], bias[1], bias[2], bias[3]}}, scaled);
        uint32_t word = (uint32_t)finish(c, channel, s.sum[0], scaled);

        word = dsp_insert_byte(word, (uint32_t)finish(c, channel + 1, s.sum[1], scaled), 8);
        word = dsp_insert_byte(word, (uint32_t)finish(c, channel + 2, s.sum[2], scaled), 16);
        word = dsp_insert_byte(word, (uint32_t)finish(c, channel + 3, s.sum[3], scaled), 24);
        dsp_store32(out + channel, word);
    }
    for (int32_t in_channel = channel; channel < channels; in_channel++) {
        for (int32_t i = 0; i < multiplier; i++, channel++) {
            const int32_t sum = add_taps_of_one(t, in_channel, channel, c->input_offset);
            const int32_t weighed = scaled ? wrapping_shift_left(sum, 8) : sum; /* only with the bias it fits an int32 */

            out[channel] = (int8_t)finish(c, channel, wrapping_add(c->bias[channel], weighed), scaled);
        }
    }
}

static taps_of_pixel_t find_taps(const flota_nn_dsp_depthwise_t *c, const int8_t *image, taps_t y, taps_t x)
{
    const flota_nn_window_t *w = &c->window;
    const int32_t in_channels = c->input.channels, channels = c->output.channels;
    const int32_t row = y.origin + y.begin * w->dilation_y, column = x.origin + x.begin * w->dilation_x;
    const int32_t row_x = w->dilation_y * c->input.width * in_channels, column_x = w->dilation_x * in_channels;
    const int32_t row_w = w->width * channels;
    const int32_t rows = y.end - y.begin, columns = x.end - x.begin;
    taps_of_pixel_t t = {
        .x = image + (row * c->input.width + column) * in_channels,
        .w = c->weights + (y.begin * w->width + x.begin) * channels,
    };

    if (columns == 1) { /* the inner loop is the long one */
        t.outer = rows > 0;
        t.inner = rows;
        t.inner_x = row_x;
        t.inner_w = row_w;
    } else {
        t.outer = columns > 0 ? rows : 0;
        t.inner = columns;
        t.inner_x = column_x;
        t.inner_w = channels;
        t.outer_x = row_x - columns * column_x;
        t.outer_w = row_w - columns * channels;
    }
    return t;
}

ALWAYS_INLINE void walk_with(const flota_nn_dsp_depthwise_t *c, const int8_t *input, int8_t *output, const int scaled)
{
    const flota_nn_window_t *w = &c->window;
    const int32_t image = c->input.height * c->input.width * c->input.channels;

    for (int32_t b = 0; b < c->output.batches; b++) {
        for (int32_t oy = 0; oy < c->output.height; oy++) {
            const taps_t y = window_taps(oy, w->stride_y, w->pad_y, w->dilation_y, w->height, c->input.height);

            for (int32_t ox = 0; ox < c->output.width; ox++) {
                const taps_t x = window_taps(ox, w->stride_x, w->pad_x, w->dilation_x, w->width, c->input.width);
                const taps_of_pixel_t taps = find_taps(c, input + b * image, y, x);

                run_pixel(c, &taps, output, scaled);
                output += c->output.channels;
            }
        }
    }
}

void flota_nn_dsp_depthwise_s8(const flota_nn_dsp_depthwise_t *conv, const int8_t *input, int8_t *output)
{
    walk_with(conv, input, output, 1);
}

void flota_nn_dsp_depthwise_exact_s8(const flota_nn_dsp_depthwise_t *conv, const int8_t *input, int8_t *output)
{
    walk_with(conv, input, output, 0);
}
