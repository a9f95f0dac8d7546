/* The contract between a compiled model and the firmware that runs it.
 *
 * An image holds exactly one model; `optimize/compiler` writes it as model.c and defines `flota_model`. The caller owns
 * the memory: it hands `invoke` an arena of `arena_bytes` bytes, aligned to FLOTA_MODEL_ARENA_ALIGN. The model and the
 * kernels own none (no .data, no .bss), so an image runs in place from flash and may be interrupted by a reset at any
 * instruction.
 *
 * A streaming model remembers: the first `state_bytes` bytes of the arena keep their content from one call of `invoke`
 * to the next, and nobody else may write there. `reset` sets them to their initial values; call it before the first
 * `invoke` and wherever a new stream begins. Inputs and outputs never lie in the state. A model without state has
 * `state_bytes` 0 and `reset` NULL.
 *
 *   if (flota_model.reset != NULL) {
 *       (void)flota_model.reset(arena);
 *   }
 *   memcpy(arena + flota_model.inputs[0].offset, sample, flota_model.inputs[0].bytes);
 *   int32_t error = flota_model.invoke(arena);
 *   use(arena + flota_model.outputs[0].offset, flota_model.outputs[0].bytes);
 *
 * `invoke` may overwrite the inputs; write all of them again before every call.
 */
#ifndef FLOTA_MODEL_H
#define FLOTA_MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever the layout of flota_model_t or the meaning of a field changes. */
#define FLOTA_MODEL_ABI 2u

/* Alignment of the arena, in bytes. */
#define FLOTA_MODEL_ARENA_ALIGN 16u

/* What `invoke` and `reset` return. */
enum flota_model_result {
    FLOTA_MODEL_OK = 0,
    FLOTA_MODEL_ERROR_ARENA = -1 /* the arena is NULL or not aligned; nothing was written */
};

/* The place of one input or output tensor in the arena, in bytes. */
typedef struct {
    uint32_t offset;
    uint32_t bytes;
} flota_tensor_slot_t;

typedef struct {
    uint32_t abi;          /* FLOTA_MODEL_ABI */
    uint32_t arena_bytes;  /* caller-owned memory, 16-byte aligned: state, then scratch */
    uint32_t state_bytes;  /* of the arena, from its start; kept between invocations */
    uint32_t input_count;  /* entries in `inputs` */
    uint32_t output_count; /* entries in `outputs` */
    const flota_tensor_slot_t *inputs;
    const flota_tensor_slot_t *outputs;
    int32_t (*invoke)(uint8_t *arena); /* 0, or a negative flota error */
    int32_t (*reset)(uint8_t *arena);  /* the same; NULL where state_bytes is 0 */
} flota_model_t;

extern const flota_model_t flota_model; /* one per image */

#ifdef __cplusplus
}
#endif

#endif
