#include "../window.h"
#include "column_sums.h"
#include "dsp.h"
#include "flota/nn_dsp_reduction.h"

/* The part of a window that lies inside the image: `rows` rows of `columns` pixels. */
typedef struct {
    const int8_t *from;
    int32_t rows, columns, row_step, column_step; /* steps in bytes */
} part_t;

/* Finishes all channels of one output pixel. */
typedef void (*reduce_t)(const part_t *part, int32_t channels, int8_t *out);

/* sum / count, rounded to nearest, halves away from zero. `inverse`: 2^32 / count, rounded up, for a count of 2 or more.
 * Exact while (|sum| + count / 2) * count < 2^32. */
static inline int32_t divide(int32_t sum, int32_t count, uint32_t inverse)
{
    const uint32_t magnitude = (uint32_t)(sum < 0 ? -sum : sum) + (uint32_t)count / 2u;
    const int32_t quotient = (int32_t)(((uint64_t)magnitude * inverse) >> 32);

    return sum < 0 ? -quotient : quotient;
}

/* No more pixels than a halfword has room for, in rows too short to unroll a loop for. */
#define SMALL_WINDOW COLUMN_SUMS_ROOM
#define SHORT_ROW 8

/* 16 * sum / count, divided by 16 and rounded to nearest. One less where the sum is negative rounds halves away from
 * zero and changes nothing else: the next value is 16 steps away. `inverse` is 2^28 / count, rounded up, so that halves
 * above zero go up; with at most 255 pixels its error reaches no other half (all cases are checked in the tests). */
static inline uint32_t divide_small(int32_t sum_of_16, int32_t inverse)
{
    return (uint32_t)dsp_smmulr(sum_of_16 + (sum_of_16 >> 31), inverse);
}

/* Four channels of a small window. */
static inline uint32_t average_quad(const part_t *p, const int8_t *from, int32_t inverse)
{
    uint32_t even = 0, odd = 0;

    for (int32_t y = p->rows; y != 0; y--) {
        const int8_t *at = from;

        for (int32_t x = p->columns; x != 0; x--) {
            const uint32_t pixel = dsp_load32(at);

            even = dsp_sxtab16(even, pixel);
            odd = dsp_sxtab16_odd(odd, pixel);
            at += p->column_step;
        }
        from += p->row_step;
    }
    uint32_t word = divide_small(dsp_smulbb(even, 16), inverse);

    word = dsp_insert_byte(word, divide_small(dsp_smulbb(odd, 16), inverse), 8);
    word = dsp_insert_byte(word, divide_small(dsp_smultt(even, 16u << 16), inverse), 16);
    return dsp_insert_byte(word, divide_small(dsp_smultt(odd, 16u << 16), inverse), 24);
}

static int32_t sum_of_channel(const part_t *p, int32_t channel)
{
    int32_t sum = 0;

    for (int32_t y = 0; y < p->rows; y++) {
        for (int32_t x = 0; x < p->columns; x++) {
            sum += p->from[y * p->row_step + x * p->column_step + channel];
        }
    }
    return sum;
}

static void average(const part_t *p, int32_t channels, int8_t *out)
{
    const int32_t count = p->rows * p->columns;
    int32_t c = 0;

    if (count <= SMALL_WINDOW && p->columns < SHORT_ROW) {
        const int32_t small_inverse = ((1 << 28) + count - 1) / count;

        for (; c + 4 <= channels; c += 4) {
            dsp_store32(out + c, average_quad(p, p->from + c, small_inverse));
        }
    }
    if (c == channels) {
        return;
    }
    const uint32_t inverse = UINT32_MAX / (uint32_t)count + 1u;

    for (; c + 4 <= channels; c += 4) {
        column_sums_t s;

        column_sums_begin(&s, 0);
        for (int32_t y = 0; y < p->rows; y++) {
            column_sums_add(&s, p->from + y * p->row_step + c, p->columns, p->column_step);
        }
        column_sums_flush(&s);
        for (int32_t i = 0; i < 4; i++) {
            out[c + i] = (int8_t)divide(s.sum[i], count, inverse);
        }
    }
    for (; c < channels; c++) {
        const int32_t sum = sum_of_channel(p, c);

        out[c] = (int8_t)(count == 1 ? sum : divide(sum, count, inverse));
    }
}

static void maximum(const part_t *p, int32_t channels, int8_t *out)
{
    int32_t c = 0;

    for (; c + 4 <= channels; c += 4) {
        uint32_t greatest = 0x80808080u;

        for (int32_t y = 0; y < p->rows; y++) {
            const int8_t *from = p->from + y * p->row_step + c;

            for (int32_t x = p->columns; x != 0; x--) {
                greatest = dsp_max8(greatest, dsp_load32(from));
                from += p->column_step;
            }
        }
        dsp_store32(out + c, greatest);
    }
    for (; c < channels; c++) {
        int32_t greatest = INT8_MIN;

        for (int32_t y = 0; y < p->rows; y++) {
            for (int32_t x = 0; x < p->columns; x++) {
                const int32_t value = p->from[y * p->row_step + x * p->column_step + c];

                greatest = value > greatest ? value : greatest;
            }
        }
        out[c] = (int8_t)greatest;
    }
}

static part_t find_part(const flota_nn_pool_t *p, const int8_t *image, taps_t y, taps_t x)
{
    const int32_t channels = p->input.channels, width = p->input.width;
    part_t part = {
        .from = image + ((y.origin + y.begin) * width + x.origin + x.begin) * channels,
        .rows = y.end - y.begin,
        .columns = x.end - x.begin,
        .row_step = width * channels,
        .column_step = channels,
    };

    if (part.columns == width) { /* rows follow each other without a gap */
        part.columns *= part.rows;
        part.rows = 1;
    }
    return part;
}

static inline void pool_with(const flota_nn_pool_t *p, const int8_t *input, int8_t *output, reduce_t reduce)
{
    const flota_nn_window_t *w = &p->window;
    const int32_t image = p->input.height * p->input.width * p->input.channels;

    for (int32_t b = 0; b < p->output.batches; b++) {
        for (int32_t oy = 0; oy < p->output.height; oy++) {
            const taps_t y = window_taps(oy, w->stride_y, w->pad_y, 1, w->height, p->input.height);

            for (int32_t ox = 0; ox < p->output.width; ox++) {
                const taps_t x = window_taps(ox, w->stride_x, w->pad_x, 1, w->width, p->input.width);
                const part_t part = find_part(p, input + b * image, y, x);

                reduce(&part, p->output.channels, output);
                output += p->output.channels;
            }
        }
    }
}

void flota_nn_dsp_average_pool_s8(const flota_nn_pool_t *pool, const int8_t *input, int8_t *output)
{
    pool_with(pool, input, output, average);
}

void flota_nn_dsp_max_pool_s8(const flota_nn_pool_t *pool, const int8_t *input, int8_t *output)
{
    pool_with(pool, input, output, maximum);
}
