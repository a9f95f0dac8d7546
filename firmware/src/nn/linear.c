#include "fixed_point.h"
#include "flota/nn.h"
#include "walk.h"

/* Inlined with constant steps and bounds, so that the usual cases cost a few instructions an element. */
static inline void row(const flota_nn_linear_t *op, int32_t count, const int8_t *left, int32_t left_step,
                       const int8_t *right, int32_t right_step, int8_t *output, int32_t min, int32_t max)
{
    const int32_t a = op->factor[0], b = op->factor[1], bias = op->bias, shift = op->shift;

    for (; count >= 2; count -= 2) {
        const int32_t first = (bias + a * left[0] + b * right[0]) >> shift;
        const int32_t second = (bias + a * left[left_step] + b * right[right_step]) >> shift;

        output[0] = (int8_t)clamp(first, min, max);
        output[1] = (int8_t)clamp(second, min, max);
        left += 2 * left_step;
        right += 2 * right_step;
        output += 2;
    }
    if (count != 0) {
        output[0] = (int8_t)clamp((bias + a * left[0] + b * right[0]) >> shift, min, max);
    }
}

void flota_nn_linear_s8(const flota_nn_linear_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    const int32_t last = op->rank - 1;
    const int32_t count = op->extent[last], left_step = op->stride[0][last], right_step = op->stride[1][last];
    const int usual = left_step == 1 && right_step == 1 && op->min == INT8_MIN && op->max == INT8_MAX;
    int32_t index[FLOTA_NN_MAX_RANK] = {0};

    do {
        const int8_t *a = left + walk_offset(op->rank, op->stride[0], index);
        const int8_t *b = right + walk_offset(op->rank, op->stride[1], index);

        if (usual) {
            row(op, count, a, 1, b, 1, output, INT8_MIN, INT8_MAX);
        } else {
            row(op, count, a, left_step, b, right_step, output, op->min, op->max);
        }
        output += count;
    } while (walk_next(op->rank, op->extent, index));
}
