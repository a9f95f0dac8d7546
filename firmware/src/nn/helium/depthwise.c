#include "depthwise3.h"
#include "helium.h"

/* Windows higher than this stay with the portable kernel. */
#define MOST_ROWS FLOTA_NN_HELIUM_DEPTHWISE_HEIGHT

/* Sums of eight channels, as two vectors of their even and odd ones. */
typedef struct {
    int32x4_t even, odd;
} sums_t;

ALWAYS_INLINE sums_t added(sums_t sums, int16x8_t products)
{
    return (sums_t){vaddq_s32(sums.even, vmovlbq_s16(products)), vaddq_s32(sums.odd, vmovltq_s16(products))};
}

ALWAYS_INLINE int16x8_t product(const int8_t *x, const int8_t *weights)
{
    return vmulq_s16(vldrbq_s16(x), vldrbq_s16(weights));
}

/* What the windows of one group of channels look at. `step` is in bytes, from tap to tap. */
typedef struct {
    const int8_t *rows[MOST_ROWS];
    int32_t height, width, step;
} windows_t;

ALWAYS_INLINE sums_t window_sums(const windows_t *w, int32_t at, const int8_t *weights, sums_t sums)
{
    for (int32_t ky = 0; ky < w->height; ky++) {
        const int8_t *x = w->rows[ky] + at;
        int32_t taps = w->width;

        for (; taps > 1; taps -= 2) {
            sums = added(sums, vaddq_s16(product(x, weights), product(x + w->step, weights + GROUP)));
            x += 2 * w->step;
            weights += 2 * GROUP;
        }
        if (taps > 0) {
            sums = added(sums, product(x, weights));
            weights += GROUP;
        }
    }
    return sums;
}

/* A row of outputs of the channels from `first` on. */
static __attribute__((noinline)) void convolve_group(const flota_nn_helium_depthwise_t *c, const windows_t *w,
                                                     int32_t first, int8_t *out)
{
    const flota_nn_helium_requantize_t *q = &c->requantize;
    const int8_t *weights = c->weights + first * c->window.height * c->window.width;
    const flota_nn_helium_group_t *group = q->groups + first / GROUP;
    const factors_t factors = factors_of(group);
    const mve_pred16_t inside = vctp16q((uint32_t)(c->output.channels - first));
    int32_t at = first * c->columns;

    for (int32_t ox = c->output.width; ox > 0; ox--) {
        const sums_t biases = {vldrwq_s32(group->bias), vldrwq_s32(group->bias + 4)};
        const sums_t sums = window_sums(w, at, weights, biases);

        vstrbq_p_s16(out, finished(q, &factors, sums.even, sums.odd), inside);
        out += c->output.channels;
        at += c->window.stride_x * GROUP;
    }
}

/* The same for all whole groups, where depthwise3.h knows the window; returns their channels. */
static int32_t convolve_groups_3x3(const flota_nn_helium_depthwise_t *c, const windows_t *w, int8_t *out)
{
    const int32_t channels = c->output.channels, pairs = c->output.width / 2;
    const flota_nn_helium_depthwise3_t row = {
        .rows = {w->rows[0], w->rows[1], w->rows[2]},
        .weights = c->weights,
        .group = c->requantize.groups,
        .out = out,
        .channels = channels,
        .offset = c->requantize.offset,
        .pairs = pairs,
        .odd = c->output.width % 2,
        .row_step = (c->columns - 2 * pairs * c->window.stride_x) * GROUP,
        .out_step = GROUP - c->output.width * channels,
        .groups = channels / GROUP,
    };

    if (channels < GROUP) {
        return 0;
    }
    if (c->window.stride_x == 1) {
        flota_nn_helium_depthwise3_s1(&row);
    } else {
        flota_nn_helium_depthwise3_s2(&row);
    }
    return channels / GROUP * GROUP;
}

/* Whether depthwise3.h has a function for the window and for what becomes of the sums. */
static int32_t is_3x3(const flota_nn_helium_depthwise_t *c)
{
    const flota_nn_window_t *w = &c->window;

    return w->height == 3 && w->width == 3 && w->dilation_x == 1 && w->stride_x <= 2 && c->requantize.plain != 0;
}

/* A row of the image to the columns of a scratch row that are inside it. */
static void copy_row(const flota_nn_helium_depthwise_t *c, const int8_t *from, int8_t *to)
{
    const int32_t channels = c->input.channels;

    to += c->window.pad_x * GROUP;
    for (int32_t first = 0; first < channels; first += GROUP) {
        const mve_pred16_t inside = vctp16q((uint32_t)(channels - first));
        const int8_t *x = from + first;
        int8_t *place = to;

        for (int32_t i = c->input.width; i > 0; i--) {
            vstrbq_s16(place, vldrbq_z_s16(x, inside));
            x += channels;
            place += GROUP;
        }
        to += c->columns * GROUP;
    }
}

/* One image. Row iy of the input lies in scratch row iy modulo `rows`, the row of borders behind the last. */
static void convolve(const flota_nn_helium_depthwise_t *c, const int8_t *image, int8_t *out, int8_t *scratch)
{
    const flota_nn_window_t *window = &c->window;
    const int32_t groups = (c->input.channels + GROUP - 1) / GROUP;
    const int32_t pitch = groups * c->columns * GROUP;
    const int32_t small = is_3x3(c);
    windows_t w = {.height = window->height, .width = window->width, .step = window->dilation_x * GROUP};
    int32_t copied = 0;

    fill_bytes(scratch, c->input_zero, (c->rows + 1) * pitch);
    for (int32_t oy = 0; oy < c->output.height; oy++) {
        const int32_t origin = oy * window->stride_y - window->pad_y;

        if (copied < origin) {
            copied = origin; /* rows between two windows */
        }
        for (; copied < origin + c->rows && copied < c->input.height; copied++) {
            copy_row(c, image + copied * c->input.width * c->input.channels, scratch + copied % c->rows * pitch);
        }
        for (int32_t i = 0; i < w.height; i++) {
            const int32_t iy = origin + i * window->dilation_y;
            const int32_t row = iy >= 0 && iy < c->input.height ? iy % c->rows : c->rows;

            w.rows[i] = scratch + row * pitch;
        }
        for (int32_t first = small != 0 ? convolve_groups_3x3(c, &w, out) : 0; first < c->output.channels;
             first += GROUP) {
            convolve_group(c, &w, first, out + first);
        }
        out += c->output.width * c->output.channels;
    }
}

void flota_nn_helium_depthwise_s8(const flota_nn_helium_depthwise_t *conv, const int8_t *input, int8_t *output,
                                  int8_t *scratch)
{
    for (int32_t b = 0; b < conv->output.batches; b++) {
        convolve(conv, input, output, scratch);
        input += conv->input.height * conv->input.width * conv->input.channels;
        output += conv->output.height * conv->output.width * conv->output.channels;
    }
}
