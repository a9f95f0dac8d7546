/* The inner loops of the 3x3 depthwise convolution, which run down the columns of planes of packed halfwords.
 *
 * The planes of four channels: word [column][channel][i] holds rows 2i and 2i + 1 of the column, borders included. So
 * of three columns, words i and i + 1 are all that two outputs see which lie one below the other. The weights of a
 * column are w0, w1, w2 from the top; with P, Q the words, SMLAD(P, w0 w1) + SMLABT(Q, w1 w2) adds to the upper output
 * and SMLATB(P, w0 w1) + SMLAD(Q, w1 w2) to the lower one.
 *
 * Requantization is one multiplication, one shift and a saturation: see optimize/compiler/exact_scaling.py, which finds
 * factors that give the bytes of the double rounding for every sum that can occur.
 */
#ifndef FLOTA_NN_DSP_DEPTHWISE3_H
#define FLOTA_NN_DSP_DEPTHWISE3_H

#include <stdint.h>

#include "flota/nn_dsp_depthwise.h"

/* Words of a column that a turn of the inner loop starts from, at most; one more is looked at. */
#define FLOTA_NN_DSP_DEPTHWISE3_TURNS 8

/* Words of a channel within a column, and of a column. */
#define FLOTA_NN_DSP_DEPTHWISE3_CHANNEL (FLOTA_NN_DSP_DEPTHWISE3_TURNS + 1)
#define FLOTA_NN_DSP_DEPTHWISE3_COLUMN (4 * FLOTA_NN_DSP_DEPTHWISE3_CHANNEL)

static inline int32_t depthwise3_bias(const flota_nn_dsp_depthwise3_channel_t *channel, int8_t top)
{
    const uint32_t *const w = channel->weights;

    return (int32_t)(w[0] >> 24 | w[1] >> 24 << 8 | w[2] >> 24 << 16 | (uint32_t)top << 24);
}

/* One band of rows of up to four channels. The assembly keeps a copy in its stack frame, at these offsets. */
typedef struct {
    int32_t rewind;  /* bytes from the output after the last turn of a column to the top of the next column */
    int32_t advance; /* bytes to the next column of the planes, plus those of the turns that are left out */
    const uint32_t *columns_end; /* of the channel before the first */
    int32_t skip;                /* twice the bytes of the turns left out, plus 1 where a column ends with one output */
    int32_t turns;
    int32_t bias, multiplier; /* of the channel at work */
    int32_t row_step;         /* bytes from output row to output row */
    const flota_nn_dsp_depthwise3_channel_t *channels, *channels_end;
    const int8_t *bias_top; /* of the first channel */
    const uint32_t *plane; /* first column of the first channel */
    int8_t *out;           /* first output of the first channel */
} flota_nn_dsp_depthwise3_job_t;

/* One band of rows of a channel that is rounded twice. The assembly keeps a copy in its stack frame, at these offsets. */
typedef struct {
    int32_t advance, rewind;     /* as above */
    const uint32_t *columns_end; /* after the last column that an output column starts from */
    int32_t skip, turns;         /* as above */
    int32_t bias;                /* twice */
    int32_t multiplier, rounding, shift;
    int32_t row_step;
    const uint32_t *plane; /* first column */
    int8_t *out;           /* first output */
} flota_nn_dsp_depthwise3_exact_job_t;

/* `weights`: those of flota_nn_dsp_depthwise3_channel_t. */
void flota_nn_dsp_depthwise3_exact_s1(const flota_nn_dsp_depthwise3_exact_job_t *job, const uint32_t *weights);
void flota_nn_dsp_depthwise3_exact_s2(const flota_nn_dsp_depthwise3_exact_job_t *job, const uint32_t *weights);

/* One band of rows of four channels of an image, to be brought into planes. */
typedef struct {
    const int8_t *from; /* first channel of the first row that is read, in the first column */
    uint32_t *to;       /* word 0 of the first channel and column */
    int32_t row_step;   /* bytes */
    uint32_t zeros;     /* the zero point as packed halfwords */
    int32_t pairs;      /* words whose two rows are both read */
    int32_t edges;      /* words around these, below */
    int32_t words;      /* in all; what `pairs` and `edges` leave is filled with zero points */
    int32_t column_step;
    const uint32_t *to_end; /* word 0 of the column after the last */
} flota_nn_dsp_depthwise3_gather_t;

#define FLOTA_NN_DSP_DEPTHWISE3_KEPT 1  /* word 0 is a copy of the last one: the band before read its rows */
#define FLOTA_NN_DSP_DEPTHWISE3_ABOVE 2 /* then a word of a zero point and the first row */
#define FLOTA_NN_DSP_DEPTHWISE3_BELOW 4 /* after the pairs, a word of the last row and a zero point */

void flota_nn_dsp_depthwise3_gather(const flota_nn_dsp_depthwise3_gather_t *gather);

void flota_nn_dsp_depthwise3_s1(const flota_nn_dsp_depthwise3_job_t *job);
void flota_nn_dsp_depthwise3_s2(const flota_nn_dsp_depthwise3_job_t *job);

#endif
