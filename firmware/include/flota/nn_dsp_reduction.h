/* Pooling and means for Arm cores with the DSP extension: what generated model code calls in place of nn.h's.
 *
 * Parameters and values are those of nn.h's kernels, but for the clamp of pooled values, which is the caller's.
 */
#ifndef FLOTA_NN_DSP_REDUCTION_H
#define FLOTA_NN_DSP_REDUCTION_H

#include "flota/nn.h"
#include "flota/nn_dsp_elementwise.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Windows of less than 5,000 pixels. */
void flota_nn_dsp_average_pool_s8(const flota_nn_pool_t *pool, const int8_t *input, int8_t *output);
void flota_nn_dsp_max_pool_s8(const flota_nn_pool_t *pool, const int8_t *input, int8_t *output);

/* The innermost kept axis has stride 1. */
void flota_nn_dsp_mean_s8(const flota_nn_mean_t *mean, const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
