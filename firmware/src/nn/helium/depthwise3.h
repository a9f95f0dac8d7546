/* A row of outputs of a 3x3 depthwise convolution, eight channels at a time. */
#ifndef FLOTA_NN_HELIUM_DEPTHWISE3_H
#define FLOTA_NN_HELIUM_DEPTHWISE3_H

#include <stdint.h>

#include "flota/nn_helium.h"

/* The assembly loads all of it at once, in this order. */
typedef struct {
    const int8_t *rows[3];                /* of the input, at the first output's window, [column][8] */
    const int8_t *weights;                /* [9][8] */
    const flota_nn_helium_group_t *group; /* whose shifts are all negative */
    int8_t *out;
    int32_t channels; /* bytes from output to output */
    int32_t offset;
    int32_t pairs; /* of outputs */
    int32_t odd;   /* 1: and one more */
} flota_nn_helium_depthwise3_t;

/* Outputs one column apart in the input, or two. */
void flota_nn_helium_depthwise3_s1(const flota_nn_helium_depthwise3_t *row);
void flota_nn_helium_depthwise3_s2(const flota_nn_helium_depthwise3_t *row);

#endif
