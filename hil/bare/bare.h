/* What an inference engine gives the bare harness: the functions below, and nothing else.
 *
 * The harness sets the engine up, and then for every inference writes the input tensors where `bare_input` says, calls
 * `bare_invoke` (only this is counted) and reads the output tensors where `bare_output` says. An image may hold several
 * models of one engine: `bare_select` names the one that everything after it means, and `bare_setup` comes after it.
 */
#ifndef FLOTA_BARE_H
#define FLOTA_BARE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The place of a tensor; no bytes: there is no tensor of that index. */
typedef struct {
    void *data;
    uint32_t bytes;
} bare_tensor_t;

/* From now on `model` is meant. Optional: without it there is one model. 0, or an error: no such model. */
int32_t bare_select(uint32_t model);

/* Make the selected model ready and forget what it remembers. 0, or an error. */
int32_t bare_setup(void);

bare_tensor_t bare_input(uint32_t index);
bare_tensor_t bare_output(uint32_t index);

/* One inference. 0, or an error. */
int32_t bare_invoke(void);

#ifdef __cplusplus
}
#endif

#endif
