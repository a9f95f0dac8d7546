#include "fixed_point.h"
#include "flota/nn.h"

/* Bits below an input's step in which the interpreter adds. */
#define SUM_BITS 19

static void sum_series(const flota_nn_cumsum_t *op, const int8_t *input, int8_t *output)
{
    const int32_t step = op->reverse ? -op->inner : op->inner;
    int32_t at = op->reverse ? (op->depth - 1) * op->inner : 0;
    int32_t sum = op->input_offset; /* not 0: so the interpreter begins */

    for (int32_t i = 0; i < op->depth; i++, at += step) {
        const int32_t before = sum;

        sum = wrapping_add(sum, input[at] + op->input_offset);
        const int32_t fine = wrapping_shift_left(op->exclusive ? before : sum, SUM_BITS);
        const int32_t scaled = multiply_by_quantized(fine, op->multiplier, op->shift);

        output[at] = (int8_t)clamp(wrapping_add(scaled, op->output_offset), INT8_MIN, INT8_MAX);
    }
}

void flota_nn_cumsum_s8(const flota_nn_cumsum_t *op, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < op->outer; i++) {
        for (int32_t k = 0; k < op->inner; k++) {
            const int32_t start = i * op->depth * op->inner + k;

            sum_series(op, input + start, output + start);
        }
    }
}
