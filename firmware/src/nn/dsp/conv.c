#include "flota/nn_dsp.h"
#include "gemm.h"
#include "panel.h"

/* Where the window of an output pixel begins in the input. */
typedef struct {
    int32_t y, x;
} corner_t;

/* Appends a run of the window that crosses the left or right edge. `x` is its first column. */
static uint32_t *append_edge(const flota_nn_dsp_conv_t *c, const int8_t *row, int32_t x, int8_t *run, uint32_t *to)
{
    const int32_t channels = c->input.channels, width = c->input.width * channels;
    const int32_t begin = x * channels, end = begin + c->run_bytes;
    const int32_t first = begin < 0 ? 0 : begin, last = end > width ? width : end;

    if ((channels & 3) == 0) {
        /* Whole quads lie on either side of the edge. */
        to = flota_nn_dsp_panel_fill(c->zero, (first - begin) >> 1, to);
        to = flota_nn_dsp_panel_append(row + first, last - first, to);
        return flota_nn_dsp_panel_fill(c->zero, (end - last) >> 1, to);
    }
    for (int32_t place = begin; place < end; place++) {
        run[place - begin] = place >= 0 && place < width ? row[place] : c->zero;
    }
    return flota_nn_dsp_panel_append(run, c->run_bytes, to);
}

/* Fills one column of the panel with what a window sees that may leave the image. */
static void fill_column(const flota_nn_dsp_conv_t *c, const int8_t *image, corner_t corner, int8_t *run, uint32_t *to)
{
    const flota_nn_window_t *w = &c->window;
    const int32_t channels = c->input.channels, columns = c->runs_per_row == 1 ? w->width : 1;

    for (int32_t ky = 0; ky < w->height; ky++) {
        const int32_t y = corner.y + ky * w->dilation_y;
        int32_t x = corner.x;

        for (int32_t kx = 0; kx < c->runs_per_row; kx++) {
            if (y < 0 || y >= c->input.height || x + columns <= 0 || x >= c->input.width) {
                to = flota_nn_dsp_panel_fill(c->zero, (c->run_bytes + 1) >> 1, to);
            } else {
                const int8_t *row = image + y * c->input.width * channels;

                if (x < 0 || x + columns > c->input.width) {
                    to = append_edge(c, row, x, run, to);
                } else {
                    to = flota_nn_dsp_panel_append(row + x * channels, c->run_bytes, to);
                }
            }
            x += w->dilation_x;
        }
    }
}

/* Fills both columns with two windows side by side, of which both lie inside the image. */
static void fill_inside(const flota_nn_dsp_conv_t *c, const int8_t *image, corner_t corner, uint32_t *to)
{
    const flota_nn_window_t *w = &c->window;
    const int32_t channels = c->input.channels, row_bytes = c->input.width * channels;
    const int32_t next_pixel = w->stride_x * channels;
    const int8_t *row = image + corner.y * row_bytes + corner.x * channels;

    for (int32_t ky = w->height; ky != 0; ky--) {
        const int8_t *from = row;

        for (int32_t kx = c->runs_per_row; kx != 0; kx--) {
            to = flota_nn_dsp_panel_append_both(from, from + next_pixel, c->run_bytes, to);
            from += w->dilation_x * channels;
        }
        row += w->dilation_y * row_bytes;
    }
}

/* Whether the windows at `corner` and `columns` further right lie inside the image. */
static int inside(const flota_nn_dsp_conv_t *c, corner_t corner, int32_t columns)
{
    const flota_nn_window_t *w = &c->window;

    return corner.y >= 0 && corner.x >= 0 && corner.y + (w->height - 1) * w->dilation_y < c->input.height &&
           corner.x + columns + (w->width - 1) * w->dilation_x < c->input.width;
}

static corner_t corner_of(const flota_nn_dsp_conv_t *c, int32_t oy, int32_t ox)
{
    const corner_t corner = {oy * c->window.stride_y - c->window.pad_y, ox * c->window.stride_x - c->window.pad_x};

    return corner;
}

static int8_t *output_at(const flota_nn_dsp_conv_t *c, int8_t *output, int32_t oy, int32_t ox)
{
    return output + oy * c->row_bytes + ox * c->pixel_bytes;
}

void flota_nn_dsp_conv_s8(const flota_nn_dsp_conv_t *conv, const int8_t *input, int8_t *output, uint8_t *scratch)
{
    uint32_t *const panel = (uint32_t *)(void *)scratch;
    int8_t *const run = (int8_t *)(panel + 2 * conv->gemm.pairs);
    int8_t *const unused = run + ((conv->run_bytes + 3) & ~3);
    const int32_t image = conv->input.height * conv->input.width * conv->input.channels;
    const int32_t channels = conv->output.channels, width = conv->output.width;

    for (int32_t b = 0; b < conv->output.batches; b++) {
        int32_t oy = 0, ox = 0;

        for (int32_t left = conv->output.height * width; left > 0; left -= 2) {
            const corner_t first = corner_of(conv, oy, ox);
            int8_t *const out0 = output_at(conv, output, oy, ox);
            int8_t *out1 = unused;

            if (left >= 2 && ox + 1 < width && inside(conv, first, conv->window.stride_x)) {
                fill_inside(conv, input, first, panel);
                out1 = out0 + conv->pixel_bytes;
                ox += 2;
            } else {
                corner_t second = first;

                /* The last pixel of an odd number is computed twice. */
                if (left >= 2) {
                    oy += ox + 1 == width;
                    ox = ox + 1 == width ? 0 : ox + 1;
                    second = corner_of(conv, oy, ox);
                    out1 = output_at(conv, output, oy, ox);
                    ox++;
                }
                fill_column(conv, input, first, run, panel);
                fill_column(conv, input, second, run, panel + 1);
            }
            conv->gemm.multiply(&conv->gemm, panel, out0, out1);
            clamp_values(&conv->gemm, out0, channels);
            clamp_values(&conv->gemm, out1, channels);
            if (ox == width) {
                ox = 0;
                oy++;
            }
        }
        input += image;
        output += conv->image_bytes;
    }
}
