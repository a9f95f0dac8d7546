#include "fixed_point.h"
#include "flota/nn.h"

/* Bits below an input's step in which the interpreter adds. */
#define SUM_BITS 19

void flota_nn_add_n_s8(const flota_nn_add_n_t *op, const int8_t *const *inputs, int8_t *output)
{
    for (int32_t i = 0; i < op->count; i++) {
        int32_t sum = op->input_offset; /* not 0: so the interpreter begins */

        for (int32_t k = 0; k < op->inputs; k++) {
            sum += inputs[k][i] + op->input_offset;
        }
        sum = multiply_by_quantized(wrapping_shift_left(sum, SUM_BITS), op->multiplier, op->shift);
        output[i] = (int8_t)clamp(wrapping_add(sum, op->output_offset), INT8_MIN, INT8_MAX);
    }
}
