/* Kernels for Arm cores with the DSP extension: what generated model code calls in place of nn.h's.
 *
 * The same values as nn.h's kernels, from weights packed at compile time (optimize/compiler/dsp_packing.py). `scratch`
 * is 4-byte aligned working memory that overlaps nothing else.
 */
#ifndef FLOTA_NN_DSP_KERNELS_H
#define FLOTA_NN_DSP_KERNELS_H

#include "flota/nn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct flota_nn_dsp_gemm flota_nn_dsp_gemm_t;

/* Multiplies the weights with two columns. `panel` holds [k pair][column] packed halfwords; the results of each column
 * are contiguous and saturated to int8. */
typedef void flota_nn_dsp_multiply_t(const flota_nn_dsp_gemm_t *gemm, const uint32_t *panel, int8_t *out0, int8_t *out1);

/* The same with one column of int8 values. */
typedef void flota_nn_dsp_multiply_one_t(const flota_nn_dsp_gemm_t *gemm, const int8_t *column, int8_t *out);

/* A matrix of weights and what becomes of its products. Channels come in groups of four, of which the last may be used
 * in part. How weights, biases and factors are packed is a matter of `multiply`: see src/nn/dsp/gemm.h. */
struct flota_nn_dsp_gemm {
    const uint32_t *weights;
    const int32_t *factors;   /* of each group, or of all */
    int32_t factors_stride;   /* bytes from the factors of one group to the next; 0: all share them */
    const int32_t *bias_end;  /* behind the last bias */
    int32_t offset;           /* 2 * output zero point + 1 */
    int32_t last_channels;    /* used channels of the last group: 1..4 */
    const int32_t *bias;
    int32_t pairs; /* pairs of inputs each channel sums over */
    int32_t groups;
    int8_t min, max;                           /* clamp of the stored value */
    flota_nn_dsp_multiply_t *multiply;         /* NULL in a fully connected layer */
    flota_nn_dsp_multiply_one_t *multiply_one; /* NULL anywhere else */
};

flota_nn_dsp_multiply_t flota_nn_dsp_gemm_4x2, flota_nn_dsp_gemm_4x2_once, flota_nn_dsp_gemm_wide;
flota_nn_dsp_multiply_one_t flota_nn_dsp_gemm_4x1_s8, flota_nn_dsp_gemm_wide_s8;

/* Convolution, or one group of it: then the input begins at the group's first channel and the output at its first filter.
 * Output pixels are made two at a time, in row-major order. */
typedef struct {
    flota_nn_image_t input, output;
    flota_nn_window_t window;
    int32_t pixel_bytes, row_bytes, image_bytes; /* from one output pixel, row and image to the next */
    int32_t run_bytes;    /* bytes the window touches without a gap: a row of it, or one tap where it is dilated or grouped */
    int32_t runs_per_row; /* 1, or window.width */
    int8_t zero;          /* the input's zero point, which stands for what lies outside the image */
    flota_nn_dsp_gemm_t gemm;
} flota_nn_dsp_conv_t;

/* Bytes of scratch: 8 * gemm.pairs, plus run_bytes and output.channels, each rounded up to a multiple of 4. */
void flota_nn_dsp_conv_s8(const flota_nn_dsp_conv_t *conv, const int8_t *input, int8_t *output, uint8_t *scratch);

/* A 1x1 convolution with stride 1. `pixels` counts all of the batch. Scratch as above, without run_bytes. */
typedef struct {
    int32_t pixels, in_channels, out_channels;
    flota_nn_dsp_gemm_t gemm;
} flota_nn_dsp_pointwise_t;

void flota_nn_dsp_pointwise_s8(const flota_nn_dsp_pointwise_t *conv, const int8_t *input, int8_t *output,
                               uint8_t *scratch);

/* Scratch: in_features rounded up to a multiple of 4 where it is none, else none. */
typedef struct {
    int32_t batches, in_features, out_features;
    flota_nn_dsp_gemm_t gemm;
} flota_nn_dsp_fully_connected_t;

void flota_nn_dsp_fully_connected_s8(const flota_nn_dsp_fully_connected_t *fc, const int8_t *input, int8_t *output,
                                     uint8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
