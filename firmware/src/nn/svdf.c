#include <stddef.h>
#include <string.h>

#include "fixed_point.h"
#include "flota/nn.h"

/* Sums of products wrap where the reference's do. */
static int32_t wrapping_multiply_add(int32_t sum, int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)sum + (uint32_t)a * (uint32_t)b);
}

/* What filter `filter` sees in the input of one batch, in steps of the state, not clamped. */
static int32_t feature(const flota_nn_svdf_t *svdf, int32_t filter, const int8_t *input)
{
    const int8_t *weights = svdf->feature_weights + filter * svdf->in_features;
    int32_t sum = 0;

    for (int32_t i = 0; i < svdf->in_features; i++) {
        sum += weights[i] * (input[i] + svdf->input_offset);
    }
    return multiply_by_quantized(sum, svdf->feature_multiplier, svdf->feature_shift);
}

static int8_t finish(const flota_nn_svdf_t *svdf, int32_t sum)
{
    const int32_t scaled = multiply_by_quantized(sum, svdf->multiplier, svdf->shift);

    return (int8_t)clamp(wrapping_add(scaled, svdf->output_offset), -128, 127);
}

void flota_nn_svdf_s8_s16(const flota_nn_svdf_t *svdf, const int8_t *input, int16_t *state, int8_t *output)
{
    const int32_t memory = svdf->memory;
    const int32_t rows = svdf->batches * svdf->filters;
    const int16_t *time_weights = svdf->time_weights;

    memmove(state, state + 1, (size_t)(rows * memory - 1) * sizeof *state);
    for (int32_t row = 0; row < rows; row++) {
        const int8_t *seen = input + row / svdf->filters * svdf->in_features;
        const int32_t value = clamp(feature(svdf, row % svdf->filters, seen), INT16_MIN, INT16_MAX);

        state[(row + 1) * memory - 1] = (int16_t)(uint16_t)(value + svdf->state_zero_point);
    }
    for (int32_t unit = 0; unit < rows / svdf->rank; unit++) {
        const int32_t filter = unit * svdf->rank % svdf->filters;
        const int16_t *remembered = state + unit * svdf->rank * memory;
        int32_t sum = svdf->bias != NULL ? svdf->bias[filter / svdf->rank] : 0;

        for (int32_t i = 0; i < svdf->rank * memory; i++) {
            sum = wrapping_multiply_add(sum, time_weights[filter * memory + i],
                                        remembered[i] - svdf->state_zero_point);
        }
        output[unit] = finish(svdf, sum);
    }
}

void flota_nn_svdf_s8_s8(const flota_nn_svdf_t *svdf, const int8_t *input, int8_t *state, int8_t *output)
{
    const int32_t memory = svdf->memory;
    const int32_t rows = svdf->batches * svdf->filters;
    const int8_t *time_weights = svdf->time_weights;

    memmove(state, state + 1, (size_t)(rows * memory - 1));
    for (int32_t row = 0; row < rows; row++) {
        const int8_t *seen = input + row / svdf->filters * svdf->in_features;
        const int32_t value = clamp(feature(svdf, row % svdf->filters, seen), INT8_MIN, INT8_MAX);

        state[(row + 1) * memory - 1] = (int8_t)(uint8_t)(value + svdf->state_zero_point);
    }
    for (int32_t unit = 0; unit < rows / svdf->rank; unit++) {
        const int32_t filter = unit * svdf->rank % svdf->filters;
        const int8_t *remembered = state + unit * svdf->rank * memory;
        int32_t sum = svdf->bias != NULL ? svdf->bias[filter / svdf->rank] : 0;

        for (int32_t i = 0; i < svdf->rank * memory; i++) {
            sum = wrapping_multiply_add(sum, time_weights[filter * memory + i],
                                        remembered[i] - svdf->state_zero_point);
        }
        output[unit] = finish(svdf, sum);
    }
}
