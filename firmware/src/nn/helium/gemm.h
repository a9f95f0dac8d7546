/* The matrix product of the convolutions: two output channels by up to three pixels at a time. */
#ifndef FLOTA_NN_HELIUM_GEMM_H
#define FLOTA_NN_HELIUM_GEMM_H

#include <stdint.h>

#include "flota/nn_helium.h"

/* Outputs of `columns` pixels, 1 to FLOTA_NN_HELIUM_COLUMNS, whose inputs lie in `panel`, blocks * BLOCK bytes each;
 * the pixels' outputs follow each other at `out`. */
void flota_nn_helium_gemm(const flota_nn_helium_gemm_t *gemm, const int8_t *panel, int32_t columns, int8_t *out);

/* Sums of eight channels for the panel's pixels, all three of them, from the biases: [pixel][channel]. `weights` are
 * those of the group; returns the next group's. */
const int8_t *flota_nn_helium_group_sums(const int8_t *weights, const int8_t *panel, int32_t blocks,
                                         const int32_t *bias, int32_t *sums);

#endif
