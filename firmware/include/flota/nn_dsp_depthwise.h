/* Depthwise convolution for Arm cores with the DSP extension: what generated model code calls in place of nn.h's.
 *
 * The same values as nn.h's kernel, from constants made at compile time (optimize/compiler/depthwise_packing.py).
 */
#ifndef FLOTA_NN_DSP_DEPTHWISE_H
#define FLOTA_NN_DSP_DEPTHWISE_H

#include "flota/nn.h"
#include "flota/nn_dsp_elementwise.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One channel of a 3x3 convolution. The finished value of a sum of stored inputs times weights is
 * ((256 * sum + bias) * multiplier) >> 40, saturated to int8. The lower 24 bits of the bias fill the words of weights. */
typedef struct {
    uint32_t weights[3]; /* [column]: bytes w1, w0, w2 and one of the bias; from the top the weights are w0, w1, w2 */
    int32_t multiplier;  /* 0: this channel is in the array `exact` instead, at [bias] */
} flota_nn_dsp_depthwise3_channel_t;

/* A channel for which no such multiplier gives the bytes of the two roundings: these are done. */
typedef struct {
    int32_t bias;
    int32_t multiplier; /* in [2^30, 2^31) */
    int32_t shift;      /* right shift after the multiplication: 1..23 */
    int32_t rounding;   /* (1 << (shift - 1)) + (output zero point << shift) */
} flota_nn_dsp_depthwise3_exact_t;

struct flota_nn_dsp_depthwise3;

/* Makes `rows` rows of all columns of an exact channel from its plane. */
typedef void flota_nn_dsp_depthwise3_run_t(const struct flota_nn_dsp_depthwise3 *conv, int32_t channel,
                                           const uint32_t *plane, int32_t rows, int8_t *out);

/* 3x3 depthwise convolution, stride 1 or 2. "Rows" and "columns" are those of the image or, as it suits its size, the
 * other way round; the steps say which. */
typedef struct flota_nn_dsp_depthwise3 {
    int32_t batches, channels;
    int32_t rows, columns;         /* of the input */
    int32_t out_rows, out_columns; /* of the output */
    int32_t row_step, column_step; /* of the input, in bytes */
    int32_t out_row_step, out_column_step;
    int32_t row_pad, column_pad; /* what precedes the first row and column */
    int32_t stride;
    int8_t zero; /* the input's zero point, which stands for what lies outside the image */
    const flota_nn_dsp_depthwise3_channel_t *channel;
    const int8_t *bias_top; /* [channel]: the upper eight bits */
    const flota_nn_dsp_depthwise3_exact_t *exact;
    flota_nn_dsp_depthwise3_run_t *run_exact; /* one of the two below, or NULL where no channel needs it */
} flota_nn_dsp_depthwise3_t;

/* The second is small and three times slower. */
flota_nn_dsp_depthwise3_run_t flota_nn_dsp_depthwise3_exact;
flota_nn_dsp_depthwise3_run_t flota_nn_dsp_depthwise3_exact_few;

/* Scratch: 144 bytes for each of the (out_columns - 1) * stride + 3 columns. Where input and output have the same size
 * they may overlap in any way. */
void flota_nn_dsp_depthwise3_s8(const flota_nn_dsp_depthwise3_t *conv, const int8_t *input, int8_t *output,
                                uint8_t *scratch);

/* Any depthwise convolution. The finished value of a sum of centred inputs times weights is
 * ((256 * sum + bias) * multiplier) >> 40, saturated to int8; where `shift` is given, that of both roundings. */
typedef struct {
    flota_nn_image_t input, output;
    flota_nn_window_t window;
    int32_t input_offset;
    int32_t output_zero;   /* for both roundings */
    const int8_t *weights; /* [window y][window x][output channel] */
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift; /* NULL, or right shifts after the multiplication: 1..23 */
} flota_nn_dsp_depthwise_t;

void flota_nn_dsp_depthwise_s8(const flota_nn_dsp_depthwise_t *conv, const int8_t *input, int8_t *output);
void flota_nn_dsp_depthwise_exact_s8(const flota_nn_dsp_depthwise_t *conv, const int8_t *input, int8_t *output);

/* The loops for one height of the window (3, 5, 7, 9, any odd number) and one stride down the columns (1, 2), and those
 * for a window of 5x5 and stride 1. */
struct flota_nn_dsp_depthwise_plane_job;
typedef struct flota_nn_dsp_depthwise_plane_job flota_nn_dsp_depthwise_plane_job_t;
typedef void flota_nn_dsp_depthwise_plane_run_t(const flota_nn_dsp_depthwise_plane_job_t *job);

flota_nn_dsp_depthwise_plane_run_t flota_nn_dsp_depthwise_plane_3, flota_nn_dsp_depthwise_plane_3_2;
flota_nn_dsp_depthwise_plane_run_t flota_nn_dsp_depthwise_plane_5, flota_nn_dsp_depthwise_plane_5_2;
flota_nn_dsp_depthwise_plane_run_t flota_nn_dsp_depthwise_plane_5x5;
flota_nn_dsp_depthwise_plane_run_t flota_nn_dsp_depthwise_plane_7, flota_nn_dsp_depthwise_plane_7_2;
flota_nn_dsp_depthwise_plane_run_t flota_nn_dsp_depthwise_plane_9, flota_nn_dsp_depthwise_plane_9_2;
flota_nn_dsp_depthwise_plane_run_t flota_nn_dsp_depthwise_plane_any, flota_nn_dsp_depthwise_plane_any_2;

/* Depthwise convolution with a larger window, a channel at a time, which is first brought into a plane of halfwords.
 * "Rows" and "columns" are those of the image or, as it suits its size, the other way round; the steps say which. The
 * finished value is that of flota_nn_dsp_depthwise_t, for sums of stored inputs times weights. */
typedef struct {
    int32_t batches, channels, filters; /* of the input; filters for each channel */
    int32_t rows, columns;              /* of the input */
    int32_t out_rows, out_columns;      /* of the output */
    int32_t row_step, column_step;      /* of the input, in bytes */
    int32_t out_row_step, out_column_step;
    int32_t row_pad, column_pad;         /* what precedes the first row and column */
    int32_t window_rows, window_columns; /* rows: odd, the last weights may be zeros */
    int32_t row_stride, column_stride;  /* of rows: 1 or 2 */
    int32_t plane_words, plane_columns; /* words of a column, each two rows; columns, those of the borders included */
    int32_t output_zero;                /* for both roundings */
    int8_t zero;                        /* the input's zero point, which stands for what lies outside the image */
    const int8_t *weights;              /* [output channel][window column][window row] */
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift; /* NULL, or right shifts of the channels that are rounded twice: 1..23; 0 for the others */
    flota_nn_dsp_depthwise_plane_run_t *run;
} flota_nn_dsp_depthwise_plane_t;

/* Scratch: 4 * window_columns * (window_rows + 1) + 4 * plane_columns * plane_words bytes. With one filter for each
 * channel it may run in place, of several images only where they do not grow: every channel of an image is copied whole
 * before it is written. */
void flota_nn_dsp_depthwise_plane_s8(const flota_nn_dsp_depthwise_plane_t *conv, const int8_t *input, int8_t *output,
                                     uint8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
