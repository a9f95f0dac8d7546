#include "depthwise_plane.h"

#include "dsp.h"

static int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }

void flota_nn_dsp_depthwise_plane_round(const flota_nn_dsp_depthwise_plane_job_t *job, plane_sums_t *sums,
                                        int outputs)
{
    for (int i = 0; i < outputs; i++) {
        sums->sum[i] = dsp_ssat8(dsp_requantize(sums->sum[i], job->multiplier, job->shift, job->rounding));
    }
}

/* Brings one channel into the plane, whose borders hold the zero point already. */
static void gather(const flota_nn_dsp_depthwise_plane_t *c, const int8_t *from, uint32_t *plane)
{
    const int32_t step = c->row_step;
    const int32_t columns = smaller(c->columns, c->plane_columns - c->column_pad);
    const int32_t rows = smaller(c->rows, 2 * c->plane_words - c->row_pad);
    const int32_t above = c->row_pad & 1;
    const int32_t pairs = (rows - above) / 2;
    const uint32_t zero = (uint32_t)(int32_t)c->zero;
    uint32_t *to = plane + c->column_pad * c->plane_words + c->row_pad / 2;

    for (int32_t x = 0; x < columns; x++) {
        const int8_t *pixel = from;
        uint32_t *word = to;

        if (above) {
            *word++ = dsp_pack_low(zero, (uint32_t)(int32_t)*pixel);
            pixel += step;
        }
        for (int32_t i = pairs; i != 0; i--) {
            const uint32_t upper = (uint32_t)(int32_t)*pixel;

            pixel += step;
            *word++ = dsp_pack_low(upper, (uint32_t)(int32_t)*pixel);
            pixel += step;
        }
        if (above + 2 * pairs < rows) {
            *word = dsp_pack_low((uint32_t)(int32_t)*pixel, zero);
        }
        from += c->column_step;
        to += c->plane_words;
    }
}

/* The packed weights of one filter; `left` is 8 where they are taken 256 times, else 0. */
static void expand(const flota_nn_dsp_depthwise_plane_t *c, const int8_t *weights, int32_t left, uint32_t *to)
{
    for (int32_t x = c->window_columns; x != 0; x--) {
        uint32_t above = 0;

        for (int32_t i = c->window_rows; i != 0; i--) {
            const uint32_t weight = (uint32_t)(int32_t)*weights++ << left;

            *to++ = dsp_pack_low(above, weight);
            above = weight;
        }
        *to++ = above & 0xffffu;
    }
}

/* The loops begin anew for every four rows. So one column is taken as four rows of a column for each four of them. */
static void run_column(const flota_nn_dsp_depthwise_plane_t *c, const flota_nn_dsp_depthwise_plane_job_t *job)
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
