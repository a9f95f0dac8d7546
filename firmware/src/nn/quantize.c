#include "fixed_point.h"
#include "flota/nn.h"

/* Any value beyond this many steps from zero saturates, whatever the zero point. */
#define STEP_LIMIT_S8 1024.0f
#define STEP_LIMIT_S16 131072.0f

/* Nearest integer, halves away from zero, of |x| <= 2^22; without libm, whose roundf firmware may lack. */
static inline int32_t round_half_away(float x)
{
    const int32_t whole = (int32_t)x;
    const float rest = x - (float)whole; /* exact */

    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

/* The whole number nearest to `steps`, which counts for `limit` at most, and 0 where it is none. */
static inline int32_t nearest(float steps, float limit)
{
    if (steps > limit) {
        steps = limit;
    } else if (steps < -limit) {
        steps = -limit;
    } else if (steps != steps) { /* NaN */
        steps = 0.0f;
    }
    return round_half_away(steps);
}

void flota_nn_quantize_f32_s8(int32_t count, float scale, int32_t zero_point, const float *input, int8_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = (int8_t)clamp(nearest(input[i] / scale, STEP_LIMIT_S8) + zero_point, INT8_MIN, INT8_MAX);
    }
}

void flota_nn_quantize_f32_s16(int32_t count, float scale, int32_t zero_point, const float *input, int16_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = (int16_t)clamp(nearest(input[i] / scale, STEP_LIMIT_S16) + zero_point, INT16_MIN, INT16_MAX);
    }
}

void flota_nn_dequantize_s8_f32(int32_t count, float scale, int32_t zero_point, const int8_t *input, float *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = scale * (float)(input[i] - zero_point);
    }
}

void flota_nn_dequantize_u8_f32(int32_t count, float scale, int32_t zero_point, const uint8_t *input, float *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = scale * (float)(input[i] - zero_point);
    }
}

void flota_nn_dequantize_s16_f32(int32_t count, float scale, int32_t zero_point, const int16_t *input, float *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = scale * (float)(input[i] - zero_point);
    }
}
