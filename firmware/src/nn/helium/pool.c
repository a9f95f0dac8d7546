#include "../fixed_point.h"
#include "../window.h"
#include "helium.h"

/* The part of a window inside the image: `from` is its first value of a group of channels. */
typedef struct {
    const int8_t *from;
    int32_t rows, columns;
    int32_t row_bytes, column_bytes; /* to the next row or column */
} part_t;

/* Lanes beyond `inside` are 0. */
ALWAYS_INLINE int16x8_t reduce(part_t part, mve_pred16_t inside, int32_t averages)
{
    int16x8_t result = vdupq_n_s16(averages != 0 ? 0 : INT8_MIN);

    for (int32_t y = part.rows; y > 0; y--) {
        const int8_t *x = part.from;

        for (int32_t i = part.columns; i > 0; i--) {
            const int16x8_t values = vldrbq_z_s16(x, inside);

            result = averages != 0 ? vaddq_s16(result, values) : vmaxq_s16(result, values);
            x += part.column_bytes;
        }
        part.from += part.row_bytes;
    }
    return result;
}

static void write_averages(const flota_nn_pool_t *p, int16x8_t sums, int32_t taps, int32_t count, int8_t *out)
{
    int16_t sum[GROUP];

    vstrhq_s16(sum, sums);
    for (int32_t i = 0; i < count; i++) {
        const int32_t rounded = (sum[i] > 0 ? sum[i] + taps / 2 : sum[i] - taps / 2) / taps;

        out[i] = (int8_t)clamp(rounded, p->min, p->max);
    }
}

/* One pixel of the output; `averages` is a constant. */
ALWAYS_INLINE void pool_pixel(const flota_nn_pool_t *p, part_t part, int32_t averages, int8_t *out)
{
    for (int32_t rest = p->output.channels; rest > 0; rest -= GROUP) {
        const mve_pred16_t inside = vctp16q((uint32_t)rest);
        const int16x8_t x = reduce(part, inside, averages);

        if (averages != 0) {
            write_averages(p, x, part.rows * part.columns, rest < GROUP ? rest : GROUP, out);
        } else {
            vstrbq_p_s16(out, vminq_s16(vmaxq_s16(x, vdupq_n_s16((int16_t)p->min)), vdupq_n_s16((int16_t)p->max)),
                         inside);
        }
        part.from += GROUP;
        out += GROUP;
    }
}

ALWAYS_INLINE void pool_all(const flota_nn_pool_t *p, const int8_t *input, int8_t *output, int32_t averages)
{
    const flota_nn_window_t *w = &p->window;
    const int32_t column = p->input.channels, row = p->input.width * column;

    for (int32_t b = 0; b < p->output.batches; b++) {
        for (int32_t oy = 0; oy < p->output.height; oy++) {
            const taps_t y = window_taps(oy, w->stride_y, w->pad_y, 1, w->height, p->input.height);

            for (int32_t ox = 0; ox < p->output.width; ox++) {
                const taps_t x = window_taps(ox, w->stride_x, w->pad_x, 1, w->width, p->input.width);
                const part_t part = {
                    .from = input + (y.origin + y.begin) * row + (x.origin + x.begin) * column,
                    .rows = y.end - y.begin,
                    .columns = x.end - x.begin,
                    .row_bytes = row,
                    .column_bytes = column,
                };

                pool_pixel(p, part, averages, output);
                output += p->output.channels;
            }
        }
        input += p->input.height * row;
    }
}

void flota_nn_helium_average_pool_s8(const flota_nn_pool_t *pool, const int8_t *input, int8_t *output)
{
    pool_all(pool, input, output, 1);
}

void flota_nn_helium_max_pool_s8(const flota_nn_pool_t *pool, const int8_t *input, int8_t *output)
{
    pool_all(pool, input, output, 0);
}
