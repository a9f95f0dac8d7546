#include "broadcast.h"

static int8_t both(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    (void)op;
    return left != 0 && right != 0;
}

void flota_nn_logical_and_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    broadcast_walk(op, left, right, output, both);
}

static int8_t either(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    (void)op;
    return left != 0 || right != 0;
}

void flota_nn_logical_or_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    broadcast_walk(op, left, right, output, either);
}
