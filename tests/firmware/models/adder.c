/* The smallest model: each output byte is the input byte plus STEP. Test fixtures are made of it by macros. */
#include <stddef.h>

#include "flota/model.h"

#include "behaviour.h"

#define CASE_BYTES 24u

static const flota_tensor_slot_t INPUTS[] = {{0, 16}, {32, 8}};
static const flota_tensor_slot_t OUTPUTS[] = {{64, CASE_BYTES}};

static int32_t invoke(uint8_t *arena)
{
    BEHAVIOUR(arena);
    for (uint32_t i = 0; i < 16u; i++) {
        arena[64u + i] = (uint8_t)(arena[i] + STEP);
    }
    for (uint32_t i = 0; i < 8u; i++) {
        arena[80u + i] = (uint8_t)(arena[32u + i] + STEP);
    }
    return 0;
}

const flota_model_t flota_model = {FLOTA_MODEL_ABI, 256, 0, 2, 1, INPUTS, OUTPUTS, invoke, NULL};
