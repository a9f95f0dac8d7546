/* Element-wise kernels for Arm cores with the DSP extension: what generated model code calls in place of nn.h's. */
#ifndef FLOTA_NN_DSP_ELEMENTWISE_H
#define FLOTA_NN_DSP_ELEMENTWISE_H

#include "flota/nn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Brings `count` stored values into [min, max]. */
void flota_nn_dsp_clamp_s8(int32_t count, int32_t min, int32_t max, int8_t *values);

/* Addition or subtraction of stored values a and b, with factors that optimize/compiler/exact_sum.py finds:
 * (((256 * a * left) >> 16) + ((256 * b * right) >> 16) + bias) >> shift, saturated to int8. */
typedef struct {
    int32_t rank;
    int32_t extent[FLOTA_NN_MAX_RANK];
    int32_t stride[2][FLOTA_NN_MAX_RANK]; /* 0 or 1 along the last axis */
    int32_t left, right, bias;
} flota_nn_dsp_sum_t;

/* One function for each shift. */
void flota_nn_dsp_sum_shift15_s8(const flota_nn_dsp_sum_t *sum, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_dsp_sum_shift16_s8(const flota_nn_dsp_sum_t *sum, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_dsp_sum_shift17_s8(const flota_nn_dsp_sum_t *sum, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_dsp_sum_shift18_s8(const flota_nn_dsp_sum_t *sum, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_dsp_sum_shift19_s8(const flota_nn_dsp_sum_t *sum, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_dsp_sum_shift20_s8(const flota_nn_dsp_sum_t *sum, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_dsp_sum_shift21_s8(const flota_nn_dsp_sum_t *sum, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_dsp_sum_shift22_s8(const flota_nn_dsp_sum_t *sum, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_dsp_sum_shift23_s8(const flota_nn_dsp_sum_t *sum, const int8_t *left, const int8_t *right, int8_t *output);

/* Multiplication. The multiplier is in [2^30, 2^31). */
typedef struct {
    int32_t rank;
    int32_t extent[FLOTA_NN_MAX_RANK];
    int32_t stride[2][FLOTA_NN_MAX_RANK]; /* 0 or 1 along the last axis */
    int32_t input_zero[2];
    int32_t multiplier;
    int32_t shift; /* right shift: 1..30 */
    int32_t bias;  /* (1 << (shift - 1)) + (output zero point << shift) */
} flota_nn_dsp_product_t;

void flota_nn_dsp_product_s8(const flota_nn_dsp_product_t *product, const int8_t *left, const int8_t *right,
                             int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
