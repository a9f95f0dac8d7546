/* int8 kernels for Arm cores with Helium (the M-profile Vector Extension): Cortex-M55, Cortex-M85.
 *
 * The contract is that of nn.h, and so are the results, bit for bit. What differs is packed when a model is compiled
 * (optimize/compiler/helium_packing.py): weights lie as the vector loads want them, and the input's zero point is
 * folded into the biases: bias[c] = bias - zero point * sum of the weights of c. Places outside the image hold the zero point.
 *
 * `scratch` is arena memory that overlaps neither input nor output; its size is stated with each kernel, in bytes.
 * Channels are filled up to whole groups of eight; weights have theirs in the groups' order.
 */
#ifndef FLOTA_NN_HELIUM_H
#define FLOTA_NN_HELIUM_H

#include <stdint.h>

#include "flota/nn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a vector. Inputs of an output channel are rounded up to whole vectors, "blocks"; their rest has weight 0. */
#define FLOTA_NN_HELIUM_BLOCK 16

/* Output pixels whose inputs lie in the scratch panel at a time. */
#define FLOTA_NN_HELIUM_COLUMNS 3

/* Rows of a depthwise window, at most. */
#define FLOTA_NN_HELIUM_DEPTHWISE_HEIGHT 16

/* What becomes of the int32 sums of eight channels, of which the even ones come before the odd ones: 0 2 4 6 1 3 5 7.
 * See flota_nn_requantize_t. */
typedef struct {
    int32_t bias[8];
    int32_t multiplier[8];
    int8_t shift[8]; /* positive is to the left */
} flota_nn_helium_group_t;

typedef struct {
    const flota_nn_helium_group_t *groups;
    int32_t plain; /* 1: every shift is negative and the bounds are int8's, which takes fewer instructions */
    int32_t offset;
    int32_t min, max;
} flota_nn_helium_requantize_t;

/* Packed weights of a matrix product. */
typedef struct {
    int32_t channels; /* of the output */
    int32_t blocks;
    const int8_t *weights;
    flota_nn_helium_requantize_t requantize;
} flota_nn_helium_gemm_t;

/* Convolution by way of a panel of output pixels. Weights [channels / 2][block][channel][16], inputs in the order
 * window y, window x, channel. Scratch: COLUMNS * blocks * BLOCK. */
typedef struct {
    flota_nn_image_t input, output;
    flota_nn_window_t window;
    int32_t input_zero;
    flota_nn_helium_gemm_t gemm;
} flota_nn_helium_conv_t;

void flota_nn_helium_conv_s8(const flota_nn_helium_conv_t *conv, const int8_t *input, int8_t *output,
                             int8_t *scratch);

/* 1x1 convolution with stride 1; otherwise the same. */
typedef struct {
    int32_t pixels; /* of all images */
    int32_t in_channels;
    flota_nn_helium_gemm_t gemm;
} flota_nn_helium_pointwise_t;

void flota_nn_helium_pointwise_s8(const flota_nn_helium_pointwise_t *conv, const int8_t *input, int8_t *output,
                                  int8_t *scratch);

/* Depthwise convolution with as many output channels as input channels, eight at a time. Weights
 * [channels / 8][window y][window x][8] in the channels' own order; products are added in pairs in 16 bits, so of two
 * neighbouring weights the absolute values may add up to 255 at most.
 *
 * Rows of the input are copied to scratch, borders included, [row][channels / 8][column][8]: `rows` of them, which is
 * what a window spans, and one of borders alone. Scratch: (rows + 1) * ceil(channels / 8) * columns * 8. */
typedef struct {
    flota_nn_image_t input, output;
    flota_nn_window_t window;
    int32_t rows, columns;
    int32_t input_zero;
    const int8_t *weights;
    flota_nn_helium_requantize_t requantize;
} flota_nn_helium_depthwise_t;

void flota_nn_helium_depthwise_s8(const flota_nn_helium_depthwise_t *conv, const int8_t *input, int8_t *output,
                                  int8_t *scratch);

/* Element-wise operation on two inputs of `count` values, without broadcasting; see flota_nn_elementwise_t. No shift is
 * positive. */
typedef struct {
    int32_t count;
    int32_t input_offset[2];
    int32_t input_multiplier[2], input_shift[2]; /* unused by mul */
    int32_t multiplier, shift;
    int32_t offset;
    int32_t min, max;
} flota_nn_helium_elementwise_t;

void flota_nn_helium_add_s8(const flota_nn_helium_elementwise_t *op, const int8_t *left, const int8_t *right,
                            int8_t *output);
void flota_nn_helium_mul_s8(const flota_nn_helium_elementwise_t *op, const int8_t *left, const int8_t *right,
                            int8_t *output);

/* Sum of two inputs of `count` values without broadcasting, as one linear function of the stored values: clamp((left *
 * factor[0] + right * factor[1] + bias) >> right_shift). */
typedef struct {
    int32_t count;
    int32_t factor[2];
    int32_t bias, right_shift;
    int32_t min, max;
} flota_nn_helium_linear_t;

void flota_nn_helium_linear_s8(const flota_nn_helium_linear_t *op, const int8_t *left, const int8_t *right,
                               int8_t *output);

/* As in nn.h; an average is of at most FLOTA_NN_HELIUM_POOL_TAPS values, whose sum fits 16 bits. */
#define FLOTA_NN_HELIUM_POOL_TAPS 255

void flota_nn_helium_average_pool_s8(const flota_nn_pool_t *pool, const int8_t *input, int8_t *output);
void flota_nn_helium_max_pool_s8(const flota_nn_pool_t *pool, const int8_t *input, int8_t *output);

/* Fully connected. Weights [channels / 4][block][channel][16]. Scratch: blocks * BLOCK. */
typedef struct {
    int32_t batches, in_features;
    flota_nn_helium_gemm_t gemm;
} flota_nn_helium_fully_connected_t;

void flota_nn_helium_fully_connected_s8(const flota_nn_helium_fully_connected_t *fc, const int8_t *input,
                                        int8_t *output, int8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
