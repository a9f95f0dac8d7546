/* Models that our compiler generated, as an engine: they share one arena, and invoke overwrites it. */
#include <stddef.h>

#include "bare.h"
#include "bare_models.h"
#include "flota/model.h"
#include "slots.h"

__attribute__((aligned(FLOTA_MODEL_ARENA_ALIGN))) static uint8_t arena[BARE_ARENA_BYTES];
static const flota_model_t *model;

int32_t bare_select(uint32_t index)
{
    static const flota_model_t *const MODELS[] = {BARE_MODELS};

    if (index >= sizeof MODELS / sizeof MODELS[0]) {
        return -1;
    }
    model = MODELS[index];
    return 0;
}

int32_t bare_setup(void)
{
    if (model->abi != FLOTA_MODEL_ABI || model->arena_bytes > sizeof arena) {
        return -1;
    }
    return model->reset == NULL ? 0 : model->reset(arena);
}

bare_tensor_t bare_input(uint32_t index)
{
    return slot_tensor(arena, model->inputs, model->input_count, index);
}

bare_tensor_t bare_output(uint32_t index)
{
    return slot_tensor(arena, model->outputs, model->output_count, index);
}

int32_t bare_invoke(void)
{
    return model->invoke(arena);
}
