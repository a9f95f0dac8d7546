/* A row of outputs of a 3x3 depthwise convolution, all its whole groups of eight channels. */
#ifndef FLOTA_NN_HELIUM_DEPTHWISE3_H
#define FLOTA_NN_HELIUM_DEPTHWISE3_H

#include <stdint.h>

#include "flota/nn_helium.h"

/* The assembly loads all of it at once, in this order. */
typedef struct {
    const int8_t *rows[3];                /* of the input, at the first output's window, [column][8] */
    const int8_t *weights;                /* [group][9][8] */
    const flota_nn_helium_group_t *group; /* the first of them; all shifts are negative */
    int8_t *out;
    int32_t channels; /* bytes from output to output */
    int32_t offset;
    int32_t pairs;    /* of outputs */
    int32_t odd;      /* 1: and one more */
    int32_t row_step; /* bytes from the columns after those of the pairs to the next group's first */
    int32_t out_step; /* bytes from behind the last output to the next group's first */
    int32_t groups;   /* at least one */
} flota_nn_helium_depthwise3_t;

/* Outputs one column apart in the input, or two. */
void flota_nn_helium_depthwise3_s1(const flota_nn_helium_depthwise3_t *row);
void flota_nn_helium_depthwise3_s2(const flota_nn_helium_depthwise3_t *row);

#endif
