/* A model image that lies at its slot's address, as an engine: what the base firmware does with it, without the rest. */
#include <stddef.h>

#include "bare.h"
#include "bare_image.h"
#include "flota/model.h"
#include "slots.h"

__attribute__((aligned(FLOTA_MODEL_ARENA_ALIGN))) static uint8_t arena[BARE_ARENA_BYTES];
static const flota_model_t *const MODEL = (const flota_model_t *)BARE_MODEL_ADDRESS;

int32_t bare_setup(void)
{
    if (MODEL->abi != FLOTA_MODEL_ABI || MODEL->arena_bytes > sizeof arena) {
        return -1;
    }
    return MODEL->reset == NULL ? 0 : MODEL->reset(arena);
}

bare_tensor_t bare_input(uint32_t index)
{
    return slot_tensor(arena, MODEL->inputs, MODEL->input_count, index);
}

bare_tensor_t bare_output(uint32_t index)
{
    return slot_tensor(arena, MODEL->outputs, MODEL->output_count, index);
}

int32_t bare_invoke(void)
{
    const int32_t result = MODEL->invoke(arena);

    __asm__ volatile("" ::: "memory"); /* a call with a return, not a jump: its end is where the counting stops */
    return result;
}
