/* Layers with a state of their own and the product of two tensors, for Arm cores with the DSP extension: see nn_dsp.h. */
#ifndef FLOTA_NN_DSP_RECURRENT_KERNELS_H
#define FLOTA_NN_DSP_RECURRENT_KERNELS_H

#include "flota/nn_dsp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Multiplies the weights with one column of int8 values. Results, saturated to int16, are added to what lies in `out`, and
 * saturated again. It always writes whole groups of channels. */
typedef void flota_nn_dsp_multiply_s16_t(const flota_nn_dsp_gemm_t *gemm, const int8_t *column, int16_t *out);

flota_nn_dsp_multiply_s16_t flota_nn_dsp_gemm_4x1_s16, flota_nn_dsp_gemm_wide_s16;

/* Factor of the product of two int16, rounded twice: see dsp_requantize. */
typedef struct {
    int32_t multiplier; /* in [2^30, 2^31) */
    int32_t shift;      /* to the right, after the doubling multiplication: 1..23 */
} flota_nn_dsp_factor_t;

/* Long short-term memory over a sequence, as flota_nn_lstm_t. Four channels of the products are the gates of one unit:
 * input, forget, cell, output, in Q3.12. */
typedef struct {
    int32_t batches, steps, in_features, units;
    int32_t batch_rows, step_rows; /* rows of the input from one batch, or step, to the next */
    int32_t hidden_zero;           /* zero point of the hidden state, which the output shares */
    flota_nn_dsp_multiply_s16_t *multiply_input, *multiply_recurrent;
    flota_nn_dsp_gemm_t input, recurrent;
    flota_nn_dsp_factor_t forget, update, output; /* as the factors of flota_nn_lstm_t */
    int32_t cell_multiplier, cell_shift;           /* argument of tanh: (cell * multiplier + rounding) >> shift */
    int32_t cell_min, cell_max;                    /* within int16 */
} flota_nn_dsp_lstm_t;

/* `hidden` and `cell`, [batch][unit], are brought up to date. Scratch: 8 * units bytes, then the greater of in_features
 * and units, rounded up to a multiple of 4, where one of them is none. */
void flota_nn_dsp_lstm_s8_s16(const flota_nn_dsp_lstm_t *lstm, const int8_t *input, int8_t *hidden, int16_t *cell,
                              int8_t *output, uint8_t *scratch);

/* Singular value decomposition filter, as flota_nn_svdf_t. Channels of the product are the filters. */
typedef struct {
    int32_t batches, in_features, units, rank, memory;
    int32_t state_zero; /* zero point of a state of int8; one of int16 has none */
    flota_nn_dsp_multiply_s16_t *multiply;
    flota_nn_dsp_gemm_t features;
    const void *time_weights; /* [filter][memory], of the state's type */
    const int32_t *bias;      /* [unit], with the zero point's part */
    int32_t multiplier, shift; /* sums over time to steps of the output, as in nn.h */
    int32_t small_sums;        /* nonzero: dsp_requantize takes the sums over time and this multiplier and shift */
    int32_t output_zero;
} flota_nn_dsp_svdf_t;

/* `state`, [batch][filter][memory] with the newest last, is brought up to date. Scratch: 2 bytes a filter, their number
 * rounded up to a multiple of 4, and in_features rounded up to one where it is none. */
void flota_nn_dsp_svdf_s8_s16(const flota_nn_dsp_svdf_t *svdf, const int8_t *input, int16_t *state, int8_t *output,
                              uint8_t *scratch);
void flota_nn_dsp_svdf_s8_s8(const flota_nn_dsp_svdf_t *svdf, const int8_t *input, int8_t *state, int8_t *output,
                             uint8_t *scratch);

/* Products of matrices as flota_nn_batch_matmul_t, where left_step is 1. Scratch: 16 bytes a quad of `depth`, the last of
 * which may be filled in part. */
typedef struct {
    flota_nn_batch_matmul_t matmul;
    int32_t small_sums; /* nonzero: dsp_requantize takes all sums and this multiplier and shift */
} flota_nn_dsp_batch_matmul_t;

void flota_nn_dsp_batch_matmul_s8(const flota_nn_dsp_batch_matmul_t *op, const int8_t *left, const int8_t *right,
                                  int8_t *output, uint8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
