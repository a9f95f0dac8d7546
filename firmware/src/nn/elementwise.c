#include "fixed_point.h"
#include "flota/nn.h"
#include "walk.h"

/* Both inputs are brought to a common scale with this many bits below the stored step. */
#define SUM_LEFT_SHIFT 20

typedef int32_t (*combine_t)(const flota_nn_elementwise_t *op, int32_t left, int32_t right);

static int32_t common_scale(const flota_nn_elementwise_t *op, int32_t side, int32_t x)
{
    return multiply_by_quantized(x * (1 << SUM_LEFT_SHIFT), op->input_multiplier[side], op->input_shift[side]);
}

static int32_t add(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    return common_scale(op, 0, left) + common_scale(op, 1, right);
}

static int32_t sub(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    return common_scale(op, 0, left) - common_scale(op, 1, right);
}

static int32_t mul(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    (void)op;
    return left * right;
}

static int8_t finish(const flota_nn_elementwise_t *op, int32_t raw)
{
    const int32_t scaled = multiply_by_quantized(raw, op->multiplier, op->shift);

    return (int8_t)clamp(wrapping_add(scaled, op->output_offset), op->min, op->max);
}

/* Inlined into each operation with a constant `combine`, so there is no call per element. */
static inline void walk_with(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output,
                             combine_t combine)
{
    const int32_t last = op->rank - 1;
    int32_t index[FLOTA_NN_MAX_RANK] = {0};

    do {
        const int8_t *a = left + walk_offset(op->rank, op->stride[0], index);
        const int8_t *b = right + walk_offset(op->rank, op->stride[1], index);

        for (int32_t i = 0; i < op->extent[last]; i++) {
            *output++ = finish(op, combine(op, *a + op->input_offset[0], *b + op->input_offset[1]));
            a += op->stride[0][last];
            b += op->stride[1][last];
        }
    } while (walk_next(op->rank, op->extent, index));
}

void flota_nn_add_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    walk_with(op, left, right, output, add);
}

void flota_nn_sub_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    walk_with(op, left, right, output, sub);
}

void flota_nn_mul_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    walk_with(op, left, right, output, mul);
}
