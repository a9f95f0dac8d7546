#include "flota/nn.h"

void flota_nn_cast_s8_s16(int32_t count, const int8_t *input, int16_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = (int16_t)input[i];
    }
}

void flota_nn_cast_s8_s32(int32_t count, const int8_t *input, int32_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = (int32_t)input[i];
    }
}

void flota_nn_cast_s8_f32(int32_t count, const int8_t *input, float *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = (float)input[i];
    }
}

void flota_nn_cast_s16_s8(int32_t count, const int16_t *input, int8_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = (int8_t)input[i];
    }
}

void flota_nn_cast_s16_s16(int32_t count, const int16_t *input, int16_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = input[i];
    }
}

void flota_nn_cast_s16_s32(int32_t count, const int16_t *input, int32_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = (int32_t)input[i];
    }
}

void flota_nn_cast_s16_f32(int32_t count, const int16_t *input, float *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = (float)input[i];
    }
}

void flota_nn_cast_s32_s8(int32_t count, const int32_t *input, int8_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = (int8_t)input[i];
    }
}

void flota_nn_cast_s32_s16(int32_t count, const int32_t *input, int16_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = (int16_t)input[i];
    }
}

void flota_nn_cast_s32_s32(int32_t count, const int32_t *input, int32_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = input[i];
    }
}

void flota_nn_cast_s32_f32(int32_t count, const int32_t *input, float *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = (float)input[i];
    }
}
