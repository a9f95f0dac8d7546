#include "depthwise_plane.h"

#include "dsp.h"

#define NOT_INLINED static __attribute__((noinline))

static int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }

static int32_t round_twice(const flota_nn_dsp_depthwise_plane_job_t *job, int32_t sum)
{
    return dsp_ssat8(dsp_requantize(sum, job->multiplier, job->shift, job->rounding));
}

void flota_nn_dsp_depthwise_plane_round(const flota_nn_dsp_depthwise_plane_job_t *job, plane_sums_t *sums)
{
    const plane_sums_t s = *sums;

    sums->sum[0] = round_twice(job, s.sum[0]);
    sums->sum[1] = round_twice(job, s.sum[1]);
    sums->sum[2] = round_twice(job, s.sum[2]);
    sums->sum[3] = round_twice(job, s.sum[3]);
}

/* Words whose two rows are both in the image, of all columns. Not inlined: it needs all registers. */
NOT_INLINED void gather_pairs(const flota_nn_dsp_depthwise_plane_t *c, const int8_t *from, uint32_t *to,
                              int32_t columns, int32_t pairs)
{
    const int32_t step = c->row_step, column_step = c->column_step, column_words = c->plane_words;

    do {
        const int8_t *pixel = from;
        uint32_t *word = to, *const end = to + (pairs & ~1);

        while (word != end) {
            uint32_t row0, row1, row2, row3;

            PLANE_LOAD(row0, (uint32_t)(int32_t)pixel[0]);
            PLANE_LOAD(row1, (uint32_t)(int32_t)pixel[step]);
            PLANE_LOAD(row2, (uint32_t)(int32_t)pixel[2 * step]);
            PLANE_LOAD(row3, (uint32_t)(int32_t)pixel[3 * step]);
            word[0] = dsp_pack_low(row0, row1);
            word[1] = dsp_pack_low(row2, row3);
            pixel += 4 * step;
            word += 2;
        }
        if (pairs & 1) {
            *word = dsp_pack_low((uint32_t)(int32_t)pixel[0], (uint32_t)(int32_t)pixel[step]);
        }
        from += column_step;
        to += column_words;
    } while (--columns != 0);
}

/* Words of all columns with one row in the image, which is the upper or the lower one. */
static void gather_edge(const flota_nn_dsp_depthwise_plane_t *c, const int8_t *from, uint32_t *to, int32_t columns,
                        int32_t lower)
{
    const uint32_t zero = (uint32_t)(int32_t)c->zero;

    for (; columns != 0; columns--) {
        const uint32_t row = (uint32_t)(int32_t)*from;

        *to = lower ? dsp_pack_low(zero, row) : dsp_pack_low(row, zero);
        from += c->column_step;
        to += c->plane_words;
    }
}

/* Brings one channel into the plane, whose borders hold the zero point already. */
NOT_INLINED void gather(const flota_nn_dsp_depthwise_plane_t *c, const int8_t *from, uint32_t *plane)
{
    const int32_t columns = smaller(c->columns, c->plane_columns - c->column_pad);
    const int32_t rows = smaller(c->rows, 2 * c->plane_words - c->row_pad);
    const int32_t above = c->row_pad & 1;
    const int32_t pairs = (rows - above) / 2;
    uint32_t *const to = plane + c->column_pad * c->plane_words + c->row_pad / 2;

    if (above) {
        gather_edge(c, from, to, columns, 1);
    }
    if (pairs != 0) {
        gather_pairs(c, from + above * c->row_step, to + above, columns, pairs);
    }
    if (above + 2 * pairs < rows) {
        gather_edge(c, from + (rows - 1) * c->row_step, to + above + pairs, columns, 0);
    }
}

/* The packed weights of one filter; `left` is 8 where they are taken 256 times, else 0. */
NOT_INLINED void expand(const flota_nn_dsp_depthwise_plane_t *c, const int8_t *weights, int32_t left, uint32_t *to)
{
    for (int32_t x = c->window_columns; x != 0; x--) {
        const int8_t *const end = weights + c->window_rows;
        uint32_t above = 0;

        do {
            const uint32_t weight = (uint32_t)(int32_t)*weights++ << left;

            *to++ = dsp_pack_low(above, weight);
            above = weight;
        } while (weights != end);
        *to++ = above & 0xffffu;
    }
}

/* The loops begin anew for every four rows. So one column is taken as four rows of a column for each four of them. */
NOT_INLINED void run_column(const flota_nn_dsp_depthwise_plane_t *c, const flota_nn_dsp_depthwise_plane_job_t *job)
{
    flota_nn_dsp_depthwise_plane_job_t part = *job;

    part.advance = 2 * c->row_stride;
    part.out_rows = 4;
    part.out_columns = job->out_rows / 4;
    part.out_column_step = 4 * job->out_row_step;
    if (part.out_columns != 0) {
        c->run(&part);
    }
    part.plane += part.out_columns * part.advance;
    part.out += part.out_columns * part.out_column_step;
    part.out_rows = job->out_rows % 4;
    part.out_columns = 1;
    c->run(&part);
}

/* All filters of the channel in the plane. */
static void run_channel(const flota_nn_dsp_depthwise_plane_t *c, int32_t channel, uint32_t *weights,
                        flota_nn_dsp_depthwise_plane_job_t *job)
{
    const int32_t taps = c->window_rows * c->window_columns;

    for (int32_t i = channel * c->filters; i < (channel + 1) * c->filters; i++) {
        const int32_t shift = c->shift == NULL ? 0 : c->shift[i];

        expand(c, c->weights + i * taps, shift == 0 ? 8 : 0, weights);
        job->bias = c->bias[i];
        job->multiplier = c->multiplier[i];
        job->shift = shift;
        job->rounding = shift == 0 ? 0 : (int32_t)((uint32_t)(2 * c->output_zero + 1) << (shift - 1));
        if (job->out_columns == 1) {
            run_column(c, job);
        } else {
            c->run(job);
        }
        job->out++;
    }
}

void flota_nn_dsp_depthwise_plane_s8(const flota_nn_dsp_depthwise_plane_t *conv, const int8_t *input, int8_t *output,
                                     uint8_t *scratch)
{
    const int32_t weight_words = conv->window_rows + 1;
    const int32_t words = conv->plane_columns * conv->plane_words;
    const uint32_t zeros = 0x00010001u * (uint16_t)conv->zero;
    uint32_t *const weights = (uint32_t *)(void *)scratch;
    uint32_t *const plane = weights + conv->window_columns * weight_words;
    flota_nn_dsp_depthwise_plane_job_t job = {
        .plane = plane,
        .weights = weights,
        .weights_end = plane,
        .column_words = conv->plane_words,
        .weight_words = weight_words,
        .advance = conv->column_stride * conv->plane_words,
        .out_rows = conv->out_rows,
        .out_columns = conv->out_columns,
        .out_row_step = conv->out_row_step,
        .out_column_step = conv->out_column_step,
    };

    for (int32_t i = 0; i < words; i++) {
        plane[i] = zeros;
    }
    for (int32_t b = 0; b < conv->batches; b++) {
        job.out = output;
        for (int32_t c = 0; c < conv->channels; c++) {
            gather(conv, input + c, plane);
            run_channel(conv, c, weights, &job);
        }
        input += conv->rows * conv->columns * conv->channels;
        output += conv->out_rows * conv->out_columns * conv->channels * conv->filters;
    }
}
