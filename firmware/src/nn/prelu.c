#include "broadcast.h"
#include "fixed_point.h"

static int8_t bend(const flota_nn_elementwise_t *op, int32_t x, int32_t alpha)
{
    int32_t scaled;

    x += op->input_offset[0];
    if (x >= 0) {
        scaled = multiply_by_quantized(x, op->input_multiplier[0], op->input_shift[0]);
    } else {
        scaled = multiply_by_quantized(x * (alpha + op->input_offset[1]), op->multiplier, op->shift);
    }
    return (int8_t)clamp(wrapping_add(scaled, op->output_offset), op->min, op->max);
}

void flota_nn_prelu_s8(const flota_nn_elementwise_t *op, const int8_t *input, const int8_t *alpha, int8_t *output)
{
    broadcast_walk(op, input, alpha, output, bend);
}
