/* Inputs and outputs of a model whose arena is an engine's own. */
#ifndef FLOTA_BARE_SLOTS_H
#define FLOTA_BARE_SLOTS_H

#include "bare.h"
#include "flota/model.h"

/* The tensor of slot `index`; no bytes where there are not so many. */
static inline bare_tensor_t slot_tensor(uint8_t *arena, const flota_tensor_slot_t *slots, uint32_t count, uint32_t index)
{
    if (index >= count) {
        return (bare_tensor_t){0, 0};
    }
    return (bare_tensor_t){arena + slots[index].offset, slots[index].bytes};
}

#endif
