/* Sigmoid and tanh of 16-bit values by a table, as the recurrent kernels need them. */
#ifndef FLOTA_NN_SIGMOID_S16_H
#define FLOTA_NN_SIGMOID_S16_H

#include <stdint.h>

/* Argument in units of 3/4 * 2^-14 (that is x of Q3.12 times 3), |x| < 2^31; result Q0.15. */
int16_t flota_nn_sigmoid_s16(int32_t x);
int16_t flota_nn_tanh_s16(int32_t x);

#endif
