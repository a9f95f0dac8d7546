/* The matrix products under convolutions and fully connected layers. The input's zero point is folded into the biases.
 *
 * flota_nn_dsp_gemm_4x2: four channels by two columns; flota_nn_dsp_gemm_4x1_s8: four channels by one.
 *     Weights are packed in pairs of channels: a halfword holds 256 * w1 + w0. One SMLAD on such packed halfwords adds
 *     256 * (products of channel 1) + (products of channel 0) to a sum; one more on the sign-extended low bytes adds the
 *     products of channel 0 alone. The difference of both sums is 256 times that of channel 1. So a word of weights
 *     costs one load and one extraction for two channels, half of what separate bytes cost. The compiler proves
 *     (dsp_packing.py) that every pair fits a halfword and that no sum of an odd channel reaches 2^23.
 *     weights: [group][k pair][2], channels 0 and 1, channels 2 and 3.
 *     bias: [group][4]: channel 0, 256 * channel 1 + channel 0, the same for channels 2 and 3; modulo 2^32.
 *
 *     Of one column each quad of inputs counts as the pairs (0, 2) and (1, 3).
 *     factors: [group]: four multipliers in [2^30, 2^31), then a word of four bytes: the right shifts after the doubling
 *     multiplication, less one: 0..22.
 *
 * flota_nn_dsp_gemm_4x2_once: the same product; ((256 * sum + bias) * multiplier) >> 44, saturated, is the result. The
 *     compiler has searched for multipliers and biases that give the bytes of the two roundings (exact_scaling.py).
 *     bias: [group][4]: of an odd channel, plus the upper 24 bits of the one before. The lower 8 bits of an even channel's
 *     are added when its sum has been multiplied by 256.
 *     factors: [group]: four multipliers.
 *
 * flota_nn_dsp_gemm_4x1_s16: four channels by one column of int8 values, to int16: see nn_dsp_recurrent.h.
 *     weights, bias: as for flota_nn_dsp_gemm_4x1_s8.
 *     factors: the same, with bytes of -1 - n where the factor is at least 1/2: n is the left shift before the doubling
 *     multiplication, and no right shift follows.
 *
 * flota_nn_dsp_gemm_wide, flota_nn_dsp_gemm_wide_s8, flota_nn_dsp_gemm_wide_s16: what the others cannot prove: larger sums,
 *     a weight of -128 beside a negative one, any shift.
 *     weights: [group][k quad][channel], bytes 0 and 2 for the first pair of the quad, 1 and 3 for the second.
 *     bias: [group][channel].
 *     factors: [group]: four multipliers, then a word of four int8: the left shifts of nn.h.
 *
 * The assembly reads flota_nn_dsp_gemm_t at fixed offsets.
 */
#ifndef FLOTA_NN_DSP_GEMM_H
#define FLOTA_NN_DSP_GEMM_H

#include <stdint.h>

#include "flota/nn_dsp.h"

#endif
