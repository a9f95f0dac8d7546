#include <string.h>

#include "depthwise3.h"
#include "dsp.h"
#include "flota/nn_dsp_depthwise.h"

#define TURNS FLOTA_NN_DSP_DEPTHWISE3_TURNS
#define CHANNEL FLOTA_NN_DSP_DEPTHWISE3_CHANNEL
#define COLUMN FLOTA_NN_DSP_DEPTHWISE3_COLUMN

/* Rows of the input, borders included, from band to band; what a band needs beyond them is the next one's first word. */
#define BAND_ROWS (2 * TURNS)

/* The packed rows of four channels from the bytes of two pixels, one below the other. */
static inline void store_pair(uint32_t upper, uint32_t lower, uint32_t *to)
{
    const uint32_t even = dsp_sxtb16(upper), odd = dsp_sxtb16_odd(upper);
    const uint32_t even_below = dsp_sxtb16(lower), odd_below = dsp_sxtb16_odd(lower);

    to[0 * CHANNEL] = dsp_pack_low(even, even_below);
    to[1 * CHANNEL] = dsp_pack_low(odd, odd_below);
    to[2 * CHANNEL] = dsp_pack_high(even, even_below);
    to[3 * CHANNEL] = dsp_pack_high(odd, odd_below);
}

/* `used` channels of the pixel in `row`, or the zero point where there is no such row. */
static uint32_t edge_pixel(const flota_nn_dsp_depthwise3_t *c, const int8_t *column, int32_t row, int32_t used)
{
    uint32_t word = 0x01010101u * (uint8_t)c->zero;

    if (row >= 0 && row < c->rows) {
        memcpy(&word, column + row * c->row_step, (size_t)used);
    }
    return word;
}

static void gather_edge(const flota_nn_dsp_depthwise3_t *c, const int8_t *column, int32_t row, int32_t used,
                        uint32_t *to)
{
    store_pair(edge_pixel(c, column, row, used), edge_pixel(c, column, row + 1, used), to);
}

/* Fills `count` words of each channel of one column, from `row` on, which may lie above the image. */
static void gather_column(const flota_nn_dsp_depthwise3_t *c, const int8_t *column, int32_t row, int32_t count,
                          int32_t used, uint32_t *to)
{
    const uint32_t *const end = to + count;
    const int32_t step = c->row_step;

    while (to != end && (row < 0 || used < 4)) {
        gather_edge(c, column, row, used, to++);
        row += 2;
    }
    if (to != end) {
        const int32_t inside = (c->rows - row) / 2 < end - to ? (c->rows - row) / 2 : (int32_t)(end - to);
        const uint32_t *const inside_end = to + (inside > 0 ? inside : 0);
        const int8_t *from = column + row * step;

        row += 2 * (int32_t)(inside_end - to);
        while (to != inside_end) {
            store_pair(dsp_load32(from), dsp_load32(from + step), to++);
            from += 2 * step;
        }
    }
    while (to != end) {
        gather_edge(c, column, row, used, to++);
        row += 2;
    }
}

/* Brings `used` channels from `channel` on of the rows that `turns` turns of band `band` need into the planes. */
static void gather_band(const flota_nn_dsp_depthwise3_t *c, const int8_t *channel, int32_t band, int32_t words,
                        int32_t used, uint32_t *planes)
{
    const int32_t row = band * BAND_ROWS - c->row_pad;
    uint32_t *to = planes + c->column_pad * COLUMN;
    const int32_t past = (c->out_columns - 1) * c->stride + 3 - c->column_pad;
    const int32_t columns = past < c->columns ? past : c->columns;

    for (int32_t x = 0; x < columns; x++) {
        if (band == 0) {
            gather_column(c, channel, row, words, used, to);
        } else {
            /* The output of the band before may lie where these rows came from. */
            for (int32_t i = 0; i < 4; i++) {
                to[i * CHANNEL] = to[i * CHANNEL + TURNS];
            }
            gather_column(c, channel, row + 2, words - 1, used, to + 1);
        }
        channel += c->column_step;
        to += COLUMN;
    }
}

/* Fills the columns beside the image; no band touches them. */
static void fill_borders(const flota_nn_dsp_depthwise3_t *c, uint32_t *planes)
{
    const int32_t columns = (c->out_columns - 1) * c->stride + 3;
    const uint32_t zeros = 0x00010001u * (uint16_t)c->zero;

    for (int32_t x = 0; x < columns; x++) {
        if (x < c->column_pad || x >= c->column_pad + c->columns) {
            for (int32_t i = 0; i < COLUMN; i++) {
                planes[x * COLUMN + i] = zeros;
            }
        }
    }
}

static void run_band(const flota_nn_dsp_depthwise3_t *c, int32_t rows, const flota_nn_dsp_depthwise3_channel_t *channel,
                     int32_t used, const uint32_t *planes, int8_t *out)
{
    const int32_t turns = c->stride == 1 ? rows / 2 : rows;
    const int32_t left_out = 4 * (TURNS - turns);
    const int32_t made = c->stride == 1 ? 2 * turns : turns;
    const flota_nn_dsp_depthwise3_job_t job = {
        .rewind = c->out_column_step - made * c->out_row_step,
        .advance = 4 * COLUMN * c->stride + left_out,
        .columns_end = planes + c->out_columns * c->stride * COLUMN - CHANNEL,
        .skip = 2 * left_out + (rows > made),
        .turns = turns,
        .row_step = c->out_row_step,
        .channels = channel,
        .channels_end = channel + used,
        .plane = planes,
        .out = out,
    };

    if (c->stride == 1) {
        flota_nn_dsp_depthwise3_s1(&job);
    } else {
        flota_nn_dsp_depthwise3_s2(&job);
    }
}

static void run_group(const flota_nn_dsp_depthwise3_t *c, const int8_t *input,
                      const flota_nn_dsp_depthwise3_channel_t *channel, int32_t used, int8_t *output, uint32_t *planes)
{
    const int32_t band_rows = BAND_ROWS / c->stride;
    int32_t band = 0;

    for (int32_t done = 0; done < c->out_rows; done += band_rows) {
        const int32_t rest = c->out_rows - done;
        const int32_t rows = rest < band_rows ? rest : band_rows;
        const int32_t words = c->stride == 1 ? (rows + 3) / 2 : rows + 1;

        gather_band(c, input, band++, words, used, planes);
        run_band(c, rows, channel, used, planes, output + done * c->out_row_step);
    }
}

void flota_nn_dsp_depthwise3_s8(const flota_nn_dsp_depthwise3_t *conv, const int8_t *input, int8_t *output,
                                uint8_t *scratch)
{
    uint32_t *const planes = (uint32_t *)(void *)scratch;
    const int32_t in_bytes = conv->rows * conv->columns * conv->channels;
    const int32_t out_bytes = conv->out_rows * conv->out_columns * conv->channels;

    if (in_bytes == out_bytes && input != output) {
        const uintptr_t from = (uintptr_t)input, to = (uintptr_t)output;
        const uintptr_t total = (uintptr_t)(conv->batches * in_bytes);

        /* In place each channel reads what it then writes; shifted against each other they would disturb later ones. */
        if (from < to + total && to < from + total) {
            memmove(output, input, (size_t)total);
            input = output;
        }
    }
    fill_borders(conv, planes);
    for (int32_t b = 0; b < conv->batches; b++) {
        for (int32_t c = 0; c < conv->channels; c += 4) {
            const int32_t used = conv->channels - c < 4 ? conv->channels - c : 4;

            run_group(conv, input + c, conv->channel + c, used, output + c, planes);
        }
        input += in_bytes;
        output += out_bytes;
    }
}
