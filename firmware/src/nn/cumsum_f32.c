#include "flota/nn.h"

static void sum_series(const flota_nn_cumsum_t *op, const float *input, float *output)
{
    const int32_t step = op->reverse ? -op->inner : op->inner;
    int32_t at = op->reverse ? (op->depth - 1) * op->inner : 0;
    float sum = 0.0f;

    for (int32_t i = 0; i < op->depth; i++, at += step) {
        const float before = sum;

        sum += input[at];
        output[at] = op->exclusive ? before : sum;
    }
}

void flota_nn_cumsum_f32(const flota_nn_cumsum_t *op, const float *input, float *output)
{
    for (int32_t i = 0; i < op->outer; i++) {
        for (int32_t k = 0; k < op->inner; k++) {
            const int32_t start = i * op->depth * op->inner + k;

            sum_series(op, input + start, output + start);
        }
    }
}
