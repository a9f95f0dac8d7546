#include "flota/nn.h"

/* Integers wrap around where the target is narrower. */
#define DEFINE_CAST(name, source_t, target_t)                                            \
    void flota_nn_cast_##name(int32_t count, const source_t *input, target_t *output)    \
    {                                                                                    \
        for (int32_t i = 0; i < count; i++) {                                            \
            output[i] = (target_t)input[i];                                              \
        }                                                                                \
    }

DEFINE_CAST(s8_s16, int8_t, int16_t)
DEFINE_CAST(s8_s32, int8_t, int32_t)
DEFINE_CAST(s8_f32, int8_t, float)
DEFINE_CAST(s16_s8, int16_t, int8_t)
DEFINE_CAST(s16_s16, int16_t, int16_t)
DEFINE_CAST(s16_s32, int16_t, int32_t)
DEFINE_CAST(s16_f32, int16_t, float)
DEFINE_CAST(s32_s8, int32_t, int8_t)
DEFINE_CAST(s32_s16, int32_t, int16_t)
DEFINE_CAST(s32_s32, int32_t, int32_t)
DEFINE_CAST(s32_f32, int32_t, float)
