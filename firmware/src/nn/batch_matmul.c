#include "fixed_point.h"
#include "flota/nn.h"

/* One product of two matrices; strides are in elements. */
static void multiply(const flota_nn_batch_matmul_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    for (int32_t row = 0; row < op->rows; row++) {
        for (int32_t column = 0; column < op->columns; column++) {
            const int8_t *l = left + row * op->left_row;
            const int8_t *r = right + column * op->right_column;
            int32_t sum = 0;

            for (int32_t i = 0; i < op->depth; i++) {
                sum += (l[i * op->left_step] + op->left_offset) * (r[i * op->right_step] + op->right_offset);
            }
            sum = wrapping_add(multiply_by_quantized(sum, op->multiplier, op->shift), op->output_offset);
            *output++ = (int8_t)clamp(sum, -128, 127);
        }
    }
}

void flota_nn_batch_matmul_s8(const flota_nn_batch_matmul_t *op, const int8_t *left, const int8_t *right,
                              int8_t *output)
{
    for (int32_t a = 0; a < op->batch[0]; a++) {
        for (int32_t b = 0; b < op->batch[1]; b++) {
            for (int32_t c = 0; c < op->batch[2]; c++) {
                multiply(op, left + a * op->left_batch[0] + b * op->left_batch[1] + c * op->left_batch[2],
                         right + a * op->right_batch[0] + b * op->right_batch[1] + c * op->right_batch[2], output);
                output += op->rows * op->columns;
            }
        }
    }
}
