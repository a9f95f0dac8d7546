/* The matrix product of the convolutions: two output channels by three pixels at a time. */
#ifndef FLOTA_NN_HELIUM_GEMM_H
#define FLOTA_NN_HELIUM_GEMM_H

#include <stdint.h>

#include "flota/nn_helium.h"

/* Outputs of `columns` pixels, 1 to FLOTA_NN_HELIUM_COLUMNS, whose inputs lie in `panel`, blocks * BLOCK bytes each;
 * the pixels' outputs follow each other at `out`. */
void flota_nn_helium_gemm(const flota_nn_helium_gemm_t *gemm, const int8_t *panel, int32_t columns, int8_t *out);

/* The same for as many columns as there are, whole groups of channels and plain factors. */
void flota_nn_helium_product_plain(const int8_t *weights, const int8_t *panel, int32_t blocks,
                                   const flota_nn_helium_group_t *groups, int8_t *out, int32_t channels,
                                   int32_t offset);

/* Sums of a group of channels for all columns of the panel, [pixel][channel]; returns the next group's weights. */
const int8_t *flota_nn_helium_group_sums(const int8_t *weights, const int8_t *panel, int32_t blocks,
                                         const flota_nn_helium_group_t *group, int32_t *sums);

#endif
