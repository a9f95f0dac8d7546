#include "broadcast.h"
#include "fixed_point.h"

/* Both inputs are compared in 256ths of a unit. */
static int32_t common_scale(const flota_nn_elementwise_t *op, int32_t side, int32_t x)
{
    return multiply_by_quantized((x + op->input_offset[side]) * 256, op->input_multiplier[side], op->input_shift[side]);
}

static int8_t is_equal(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    return common_scale(op, 0, left) == common_scale(op, 1, right);
}

void flota_nn_equal_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    broadcast_walk(op, left, right, output, is_equal);
}

static int8_t is_not_equal(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    return common_scale(op, 0, left) != common_scale(op, 1, right);
}

void flota_nn_not_equal_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    broadcast_walk(op, left, right, output, is_not_equal);
}

static int8_t is_greater(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    return common_scale(op, 0, left) > common_scale(op, 1, right);
}

void flota_nn_greater_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    broadcast_walk(op, left, right, output, is_greater);
}

static int8_t is_greater_equal(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    return common_scale(op, 0, left) >= common_scale(op, 1, right);
}

void flota_nn_greater_equal_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right,
                               int8_t *output)
{
    broadcast_walk(op, left, right, output, is_greater_equal);
}

static int8_t is_less(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    return common_scale(op, 0, left) < common_scale(op, 1, right);
}

void flota_nn_less_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    broadcast_walk(op, left, right, output, is_less);
}

static int8_t is_less_equal(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    return common_scale(op, 0, left) <= common_scale(op, 1, right);
}

void flota_nn_less_equal_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    broadcast_walk(op, left, right, output, is_less_equal);
}
