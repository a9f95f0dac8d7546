#include "fixed_point.h"
#include "flota/nn.h"

/* Any value beyond this many steps from zero saturates, whatever the zero point. */
#define STEP_LIMIT 1024.0f

/* Nearest integer, halves away from zero, of |x| <= STEP_LIMIT; without libm, whose roundf firmware may lack. */
static int32_t round_half_away(float x)
{
    const int32_t whole = (int32_t)x;
    const float rest = x - (float)whole; /* exact */

    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

void flota_nn_quantize_f32_s8(int32_t count, float scale, int32_t zero_point, const float *input, int8_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        float steps = input[i] / scale;

        if (steps > STEP_LIMIT) {
            steps = STEP_LIMIT;
        } else if (steps < -STEP_LIMIT) {
            steps = -STEP_LIMIT;
        } else if (steps != steps) { /* NaN */
            steps = 0.0f;
        }
        output[i] = (int8_t)clamp(round_half_away(steps) + zero_point, INT8_MIN, INT8_MAX);
    }
}

void flota_nn_dequantize_s8_f32(int32_t count, float scale, int32_t zero_point, const int8_t *input, float *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = scale * (float)(input[i] - zero_point);
    }
}
