#include "broadcast.h"
#include "fixed_point.h"

#define DIFFERENCE_BITS 7 /* below the stored step, so that the square fits an int32 */

static int32_t common_scale(const flota_nn_elementwise_t *op, int32_t side, int32_t x)
{
    const int32_t fine = (x + op->input_offset[side]) * (1 << DIFFERENCE_BITS);

    return multiply_by_quantized(fine, op->input_multiplier[side], op->input_shift[side]);
}

static int8_t square(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    const int32_t difference = common_scale(op, 0, left) - common_scale(op, 1, right);
    const int32_t scaled = multiply_by_quantized(difference * difference, op->multiplier, op->shift);

    return (int8_t)clamp(wrapping_add(scaled, op->output_offset), op->min, op->max);
}

void flota_nn_squared_difference_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right,
                                    int8_t *output)
{
    broadcast_walk(op, left, right, output, square);
}
