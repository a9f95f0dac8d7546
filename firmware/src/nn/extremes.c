#include "broadcast.h"

static int8_t larger(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    (void)op;
    return (int8_t)(left > right ? left : right);
}

static int8_t smaller(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    (void)op;
    return (int8_t)(left < right ? left : right);
}

void flota_nn_maximum_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    broadcast_walk(op, left, right, output, larger);
}

void flota_nn_minimum_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    broadcast_walk(op, left, right, output, smaller);
}
