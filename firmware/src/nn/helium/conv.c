#include "../window.h"
#include "gemm.h"
#include "helium.h"

/* One row of a window: `to` gets width * channels bytes. `row` is the image's row, or NULL outside. */
ALWAYS_INLINE void gather_row(const flota_nn_helium_conv_t *c, const int8_t *row, taps_t x, int8_t *to)
{
    const flota_nn_window_t *w = &c->window;
    const int32_t depth = c->input.channels;
    const int32_t run = w->width * depth;

    if (row == 0) {
        fill_bytes(to, c->input_zero, run);
        return;
    }
    row += (x.origin + x.begin * w->dilation_x) * depth;
    if (x.end - x.begin < w->width) {
        fill_bytes(to, c->input_zero, run);
        to += x.begin * depth;
    }
    if (w->dilation_x == 1) {
        copy_bytes(to, row, (x.end - x.begin) * depth);
        return;
    }
    for (int32_t i = x.begin; i < x.end; i++) {
        copy_bytes(to, row, depth);
        to += depth;
        row += w->dilation_x * depth;
    }
}

static void gather_window(const flota_nn_helium_conv_t *c, const int8_t *image, taps_t y, taps_t x, int8_t *to)
{
    const flota_nn_window_t *w = &c->window;
    const int32_t pitch = c->input.width * c->input.channels;
    const int8_t *row = image + y.origin * pitch;

    for (int32_t i = 0; i < w->height; i++) {
        gather_row(c, i >= y.begin && i < y.end ? row : 0, x, to);
        to += w->width * c->input.channels;
        row += w->dilation_y * pitch;
    }
}

/* A window whose rows are runs of the image. */
ALWAYS_INLINE void gather_runs(const int8_t *from, int32_t rows, int32_t run, int32_t pitch, int8_t *to)
{
    for (int32_t i = rows; i > 0; i--) {
        copy_bytes(to, from, run);
        to += run;
        from += pitch;
    }
}

/* The outputs of one image; the panel goes on from row to row. */
static int8_t *convolve(const flota_nn_helium_conv_t *conv, const int8_t *image, int8_t *output, int8_t *panel)
{
    const flota_nn_window_t *w = &conv->window;
    const int32_t depth = conv->input.channels, pitch = conv->input.width * depth;
    const int32_t height = w->height, run = w->width * depth, step = w->dilation_y * pitch;
    const int32_t column = conv->gemm.blocks * BLOCK, last = COLUMNS * column;
    int32_t filled = 0;

    for (int32_t oy = 0; oy < conv->output.height; oy++) {
        const taps_t y = window_taps(oy, w->stride_y, w->pad_y, w->dilation_y, w->height, conv->input.height);
        const int32_t whole = w->dilation_x == 1 && y.end - y.begin == height;
        int32_t origin = -w->pad_x;

        for (int32_t ox = 0; ox < conv->output.width; ox++) {
            if (whole != 0 && origin >= 0 && origin + w->width <= conv->input.width) {
                gather_runs(image + y.origin * pitch + origin * depth, height, run, step, panel + filled);
            } else {
                const taps_t x = window_taps(ox, w->stride_x, w->pad_x, w->dilation_x, w->width, conv->input.width);

                gather_window(conv, image, y, x, panel + filled);
            }
            origin += w->stride_x;
            filled += column;
            if (filled == last) {
                flota_nn_helium_gemm(&conv->gemm, panel, COLUMNS, output);
                output += COLUMNS * conv->gemm.channels;
                filled = 0;
            }
        }
    }
    if (filled > 0) {
        flota_nn_helium_gemm(&conv->gemm, panel, filled / column, output);
        output += filled / column * conv->gemm.channels;
    }
    return output;
}

void flota_nn_helium_conv_s8(const flota_nn_helium_conv_t *conv, const int8_t *input, int8_t *output, int8_t *scratch)
{
    for (int32_t b = 0; b < conv->output.batches; b++) {
        output = convolve(conv, input, output, scratch);
        input += conv->input.height * conv->input.width * conv->input.channels;
    }
}

void flota_nn_helium_pointwise_s8(const flota_nn_helium_pointwise_t *conv, const int8_t *input, int8_t *output,
                                  int8_t *scratch)
{
    const int32_t column = conv->gemm.blocks * BLOCK;

    for (int32_t pixel = 0; pixel < conv->pixels; pixel += COLUMNS) {
        const int32_t rest = conv->pixels - pixel;
        const int32_t columns = rest < COLUMNS ? rest : COLUMNS;

        for (int32_t i = 0; i < columns; i++) {
            copy_bytes(scratch + i * column, input, conv->in_channels);
            input += conv->in_channels;
        }
        flota_nn_helium_gemm(&conv->gemm, scratch, columns, output);
        output += columns * conv->gemm.channels;
    }
}
