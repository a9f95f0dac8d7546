#include <string.h>

#include "flota/nn_dsp.h"
#include "gemm.h"
#include "panel.h"

/* A run of the window that crosses the left or right edge, put together in `run`. `x` is its first column. */
static const int8_t *edge_run(const flota_nn_dsp_conv_t *c, const int8_t *row, int32_t x, int8_t *run)
{
    const int32_t channels = c->input.channels, columns = c->run_bytes / channels;

    memset(run, c->zero, (size_t)c->run_bytes);
    for (int32_t i = 0; i < columns; i++) {
        if (x + i >= 0 && x + i < c->input.width) {
            memcpy(run + i * channels, row + (x + i) * channels, (size_t)channels);
        }
    }
    return run;
}

/* Fills one column of the panel with what the window at output pixel (oy, ox) sees. */
static void fill_column(const flota_nn_dsp_conv_t *c, const int8_t *image, int32_t oy, int32_t ox, int8_t *run,
                        uint32_t *column)
{
    const flota_nn_window_t *w = &c->window;
    const int32_t channels = c->input.channels, columns = c->run_bytes / channels;
    const int32_t row_bytes = c->input.width * channels;

    for (int32_t ky = 0; ky < w->height; ky++) {
        const int32_t y = oy * w->stride_y - w->pad_y + ky * w->dilation_y;
        const int inside = y >= 0 && y < c->input.height;

        for (int32_t kx = 0; kx < c->runs_per_row; kx++) {
            const int32_t x = ox * w->stride_x - w->pad_x + kx * w->dilation_x;
            const int8_t *from;

            if (!inside) {
                from = memset(run, c->zero, (size_t)c->run_bytes);
            } else if (x < 0 || x + columns > c->input.width) {
                from = edge_run(c, image + y * row_bytes, x, run);
            } else {
                from = image + y * row_bytes + x * channels;
            }
            column = panel_append(from, c->run_bytes, column);
        }
    }
}

void flota_nn_dsp_conv_s8(const flota_nn_dsp_conv_t *conv, const int8_t *input, int8_t *output, uint8_t *scratch)
{
    uint32_t *const panel = (uint32_t *)(void *)scratch;
    int8_t *const run = (int8_t *)(panel + 2 * conv->gemm.pairs);
    int8_t *const unused = run + ((conv->run_bytes + 3) & ~3);
    const int32_t image = conv->input.height * conv->input.width * conv->input.channels;
    const int32_t channels = conv->output.channels, pixels = conv->output.height * conv->output.width;

    for (int32_t b = 0; b < conv->output.batches; b++) {
        int32_t oy = 0, ox = 0;

        for (int32_t p = 0; p < pixels; p += 2) {
            for (int32_t i = 0; i < 2; i++) {
                fill_column(conv, input, oy, ox, run, panel + i);
                /* The last pixel of an odd number is computed twice. */
                if (p + 1 < pixels && ++ox == conv->output.width) {
                    ox = 0;
                    oy++;
                }
            }
            flota_nn_dsp_gemm_4x2(&conv->gemm, panel, output, p + 1 < pixels ? output + channels : unused);
            clamp_values(&conv->gemm, output, p + 1 < pixels ? 2 * channels : channels);
            output += 2 * channels;
        }
        output -= pixels % 2 * channels;
        input += image;
    }
}
