/* The matrix product under convolutions and fully connected layers, four output channels at a time.
 *
 * Weights are packed in pairs of channels: a halfword holds 256 * w1 + w0. One SMLAD on such packed halfwords adds
 * 256 * (products of channel 1) + (products of channel 0) to a sum; one more on the sign-extended low bytes adds the
 * products of channel 0 alone. The difference of both sums is 256 times that of channel 1. So a word of weights costs one
 * load and one extraction for two channels, half of what separate bytes cost. The compiler proves (dsp_packing.py) that
 * every pair fits a halfword and that no sum of an odd channel reaches 2^23.
 *
 * The input's zero point is folded into the biases.
 */
#ifndef FLOTA_NN_DSP_GEMM_H
#define FLOTA_NN_DSP_GEMM_H

#include <stdint.h>

/* The assembly reads these structures at fixed offsets. */

/* Four output channels. */
typedef struct {
    int32_t bias[4];       /* channel 0, 256 * channel 1 + channel 0, the same for channels 2 and 3; modulo 2^32 */
    int32_t multiplier[4]; /* in [2^30, 2^31) */
    uint8_t shift[4];      /* right shift after the multiplication, less one: 0..22 */
} flota_nn_dsp_channels_t;

typedef struct {
    const uint32_t *weights;                 /* [group of 4 channels][k pair][2]: channels 0 and 1, channels 2 and 3 */
    const flota_nn_dsp_channels_t *channels; /* [groups] */
    int32_t groups;                          /* of four output channels, the last perhaps partly used */
    int32_t last_channels;                   /* used channels of the last group: 1..4 */
    int32_t pairs;                           /* pairs of inputs each channel sums over */
    int32_t offset;                          /* 2 * output zero point + 1 */
} flota_nn_dsp_gemm_t;

/* Two columns: `panel` holds [k pair][column] packed halfwords; each column of outputs is contiguous. */
void flota_nn_dsp_gemm_4x2(const flota_nn_dsp_gemm_t *gemm, const uint32_t *panel, int8_t *out0, int8_t *out1);

/* One column of int8 values. `gemm->pairs` is even; each quad of inputs counts as the pairs (0, 2) and (1, 3). */
void flota_nn_dsp_gemm_4x1_s8(const flota_nn_dsp_gemm_t *gemm, const int8_t *column, int8_t *out);

#endif
