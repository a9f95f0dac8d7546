#include "fixed_point.h"
#include "flota/nn.h"
#include "window.h"

/* Finishes one output value from channel 0 of its input image, at `channel`, over the taps inside the image. */
typedef int32_t (*reduce_t)(const flota_nn_pool_t *pool, const int8_t *channel, taps_t y, taps_t x);

static int32_t average(const flota_nn_pool_t *pool, const int8_t *channel, taps_t y, taps_t x)
{
    const int32_t count = (y.end - y.begin) * (x.end - x.begin);
    int32_t sum = 0;

    for (int32_t ky = y.begin; ky < y.end; ky++) {
        for (int32_t kx = x.begin; kx < x.end; kx++) {
            sum += channel[((y.origin + ky) * pool->input.width + x.origin + kx) * pool->input.channels];
        }
    }
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

static int32_t maximum(const flota_nn_pool_t *pool, const int8_t *channel, taps_t y, taps_t x)
{
    int32_t max = INT8_MIN;

    for (int32_t ky = y.begin; ky < y.end; ky++) {
        for (int32_t kx = x.begin; kx < x.end; kx++) {
            const int32_t at = ((y.origin + ky) * pool->input.width + x.origin + kx) * pool->input.channels;

            max = channel[at] > max ? channel[at] : max;
        }
    }
    return max;
}

static void pool_with(const flota_nn_pool_t *p, const int8_t *input, int8_t *output, reduce_t reduce)
{
    const flota_nn_window_t *w = &p->window;
    const int32_t image = p->input.height * p->input.width * p->input.channels;

    for (int32_t b = 0; b < p->output.batches; b++) {
        for (int32_t oy = 0; oy < p->output.height; oy++) {
            const taps_t y = window_taps(oy, w->stride_y, w->pad_y, 1, w->height, p->input.height);

            for (int32_t ox = 0; ox < p->output.width; ox++) {
                const taps_t x = window_taps(ox, w->stride_x, w->pad_x, 1, w->width, p->input.width);

                for (int32_t c = 0; c < p->output.channels; c++) {
                    *output++ = (int8_t)clamp(reduce(p, input + b * image + c, y, x), p->min, p->max);
                }
            }
        }
    }
}

void flota_nn_average_pool_s8(const flota_nn_pool_t *pool, const int8_t *input, int8_t *output)
{
    pool_with(pool, input, output, average);
}

void flota_nn_max_pool_s8(const flota_nn_pool_t *pool, const int8_t *input, int8_t *output)
{
    pool_with(pool, input, output, maximum);
}
