#include "fixed_point.h"
#include "flota/nn.h"

static inline int32_t rescale(const flota_nn_rescale_t *op, int32_t x)
{
    const int32_t scaled = multiply_by_quantized(wrapping_add(x, op->input_offset), op->multiplier, op->shift);

    return wrapping_add(scaled, op->output_offset);
}

void flota_nn_rescale_s8_s16(const flota_nn_rescale_t *op, const int8_t *input, int16_t *output)
{
    for (int32_t i = 0; i < op->count; i++) {
        output[i] = (int16_t)clamp(rescale(op, input[i]), INT16_MIN, INT16_MAX);
    }
}

void flota_nn_rescale_s8_s32(const flota_nn_rescale_t *op, const int8_t *input, int32_t *output)
{
    for (int32_t i = 0; i < op->count; i++) {
        output[i] = rescale(op, input[i]);
    }
}

void flota_nn_rescale_s16_s8(const flota_nn_rescale_t *op, const int16_t *input, int8_t *output)
{
    for (int32_t i = 0; i < op->count; i++) {
        output[i] = (int8_t)clamp(rescale(op, input[i]), INT8_MIN, INT8_MAX);
    }
}

void flota_nn_rescale_s16_s16(const flota_nn_rescale_t *op, const int16_t *input, int16_t *output)
{
    for (int32_t i = 0; i < op->count; i++) {
        output[i] = (int16_t)clamp(rescale(op, input[i]), INT16_MIN, INT16_MAX);
    }
}

void flota_nn_rescale_s16_s32(const flota_nn_rescale_t *op, const int16_t *input, int32_t *output)
{
    for (int32_t i = 0; i < op->count; i++) {
        output[i] = rescale(op, input[i]);
    }
}

void flota_nn_rescale_s32_s8(const flota_nn_rescale_t *op, const int32_t *input, int8_t *output)
{
    for (int32_t i = 0; i < op->count; i++) {
        output[i] = (int8_t)clamp(rescale(op, input[i]), INT8_MIN, INT8_MAX);
    }
}

void flota_nn_rescale_s32_s16(const flota_nn_rescale_t *op, const int32_t *input, int16_t *output)
{
    for (int32_t i = 0; i < op->count; i++) {
        output[i] = (int16_t)clamp(rescale(op, input[i]), INT16_MIN, INT16_MAX);
    }
}
