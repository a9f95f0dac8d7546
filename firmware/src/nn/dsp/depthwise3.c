#include <string.h>

#include "depthwise3.h"
#include "dsp.h"
#include "flota/nn_dsp_depthwise.h"

#define TURNS FLOTA_NN_DSP_DEPTHWISE3_TURNS
#define CHANNEL FLOTA_NN_DSP_DEPTHWISE3_CHANNEL
#define COLUMN FLOTA_NN_DSP_DEPTHWISE3_COLUMN

/* Rows of the input, borders included, from band to band; what a band needs beyond them is the next one's first word. */
#define BAND_ROWS (2 * TURNS)

static int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }

/* What a column of a band of `words` words consists of; all but where it comes from and goes to. */
static flota_nn_dsp_depthwise3_gather_t plan_gather(const flota_nn_dsp_depthwise3_t *c, int32_t band, int32_t words)
{
    const int32_t kept = band != 0;
    const int32_t first = band * BAND_ROWS - c->row_pad + 2 * kept;
    const int32_t above = first < 0;
    const int32_t left = words - kept - above;
    const int32_t rows = c->rows - first - 2 * above;
    const int32_t pairs = rows > 0 ? smaller(rows / 2, left) : 0;
    const int32_t below = pairs < left && rows > 0 && rows % 2 != 0;

    return (flota_nn_dsp_depthwise3_gather_t){
        .row_step = c->row_step,
        .zeros = 0x00010001u * (uint16_t)c->zero,
        .pairs = pairs,
        .edges = kept | above << 1 | below << 2,
        .words = words,
        .column_step = c->column_step,
    };
}

/* flota_nn_dsp_depthwise3_gather for less than four channels; what the planes of the others hold does not matter. */
static void gather_few(const flota_nn_dsp_depthwise3_gather_t *g, int32_t used)
{
    const int32_t kept = g->edges & FLOTA_NN_DSP_DEPTHWISE3_KEPT ? 1 : 0;
    const int32_t begin = g->edges & FLOTA_NN_DSP_DEPTHWISE3_ABOVE ? 1 : 0;
    const int32_t rows = begin + 2 * g->pairs + (g->edges & FLOTA_NN_DSP_DEPTHWISE3_BELOW ? 1 : 0);
    const int8_t *from = g->from;

    for (uint32_t *to = g->to; to != g->to_end; to += COLUMN) {
        for (int32_t c = 0; c < used; c++) {
            uint32_t *plane = to + c * CHANNEL;

            if (kept) {
                plane[0] = plane[TURNS];
            }
            for (int32_t i = 2 * kept; i < 2 * g->words; i++) {
                const int32_t row = i - 2 * kept - begin;
                const uint32_t value = row < 0 || row >= rows ? g->zeros : (uint32_t)(int32_t)from[row * g->row_step + c];

                plane[i / 2] = i % 2 == 0 ? value & 0xffffu : plane[i / 2] | value << 16;
            }
        }
        from += g->column_step;
    }
}

/* Brings `used` channels from `channel` on of the rows of band `band` into the planes, `words` words of a column. */
static void gather_band(const flota_nn_dsp_depthwise3_t *c, const int8_t *channel, int32_t band, int32_t words,
                        int32_t used, uint32_t *planes)
{
    const int32_t seen = (c->out_columns - 1) * c->stride + 3 - c->column_pad;
    flota_nn_dsp_depthwise3_gather_t gather = plan_gather(c, band, words);

    gather.from = channel + (band == 0 ? 0 : band * BAND_ROWS - c->row_pad + 2) * c->row_step;
    gather.to = planes + c->column_pad * COLUMN;
    gather.to_end = gather.to + smaller(seen, c->columns) * COLUMN;
    if (used == 4) {
        flota_nn_dsp_depthwise3_gather(&gather);
    } else {
        gather_few(&gather, used);
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

static void run_band(const flota_nn_dsp_depthwise3_t *c, int32_t rows, int32_t channel, int32_t used,
                     const uint32_t *planes, int8_t *out)
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
        .channels = c->channel + channel,
        .channels_end = c->channel + channel + used,
        .bias_top = c->bias_top + channel,
        .plane = planes,
        .out = out,
    };

    if (c->stride == 1) {
        flota_nn_dsp_depthwise3_s1(&job);
    } else {
        flota_nn_dsp_depthwise3_s2(&job);
    }
}

/* Channels with a multiplier as many at a time as lie together, the others one by one. */
static void run_channels(const flota_nn_dsp_depthwise3_t *c, int32_t rows, int32_t channel, int32_t used,
                         const uint32_t *planes, int8_t *out)
{
    int32_t begin = 0;

    for (int32_t i = 0; c->run_exact != NULL && i < used; i++) {
        if (c->channel[channel + i].multiplier == 0) {
            if (begin < i) {
                run_band(c, rows, channel + begin, i - begin, planes + begin * CHANNEL, out + begin);
            }
            c->run_exact(c, channel + i, planes + i * CHANNEL, rows, out + i);
            begin = i + 1;
        }
    }
    if (begin < used) {
        run_band(c, rows, channel + begin, used - begin, planes + begin * CHANNEL, out + begin);
    }
}

static void run_group(const flota_nn_dsp_depthwise3_t *c, const int8_t *input, int32_t channel, int32_t used,
                      int8_t *output, uint32_t *planes)
{
    const int32_t band_rows = BAND_ROWS / c->stride;
    int32_t band = 0;

    for (int32_t done = 0; done < c->out_rows; done += band_rows) {
        const int32_t rest = c->out_rows - done;
        const int32_t rows = rest < band_rows ? rest : band_rows;
        const int32_t words = c->stride == 1 ? (rows + 3) / 2 : rows + 1;

        gather_band(c, input, band++, words, used, planes);
        run_channels(c, rows, channel, used, planes, output + done * c->out_row_step);
    }
}

/* Four words at a time: memmove of a small C library goes byte by byte. */
static void move_block(int8_t *to, const int8_t *from)
{
    const uint32_t a = dsp_load32(from), b = dsp_load32(from + 4);
    const uint32_t c = dsp_load32(from + 8), d = dsp_load32(from + 12);

    dsp_store32(to, a);
    dsp_store32(to + 4, b);
    dsp_store32(to + 8, c);
    dsp_store32(to + 12, d);
}

static void move(int8_t *to, const int8_t *from, int32_t bytes)
{
    const int32_t blocks = bytes & ~15;

    if (to < from) {
        for (int32_t i = 0; i < blocks; i += 16) {
            move_block(to + i, from + i);
        }
        memmove(to + blocks, from + blocks, (size_t)(bytes - blocks));
    } else {
        memmove(to + blocks, from + blocks, (size_t)(bytes - blocks));
        for (int32_t i = blocks; i != 0; i -= 16) {
            move_block(to + i - 16, from + i - 16);
        }
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
            move(output, input, conv->batches * in_bytes);
            input = output;
        }
    }
    fill_borders(conv, planes);
    for (int32_t b = 0; b < conv->batches; b++) {
        for (int32_t c = 0; c < conv->channels; c += 4) {
            const int32_t used = conv->channels - c < 4 ? conv->channels - c : 4;

            run_group(conv, input + c, c, used, output + c, planes);
        }
        input += in_bytes;
        output += out_bytes;
    }
}
