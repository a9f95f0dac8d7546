/* The model host: feeds the running model, runs it, and holds it to its golden vectors. */
#ifndef FLOTA_MODEL_HOST_H
#define FLOTA_MODEL_HOST_H

#include <stdint.h>

#include "flota/core.h"

/* Put a piece of one case's input tensors into the arena; pieces follow each other, offset 0 starts a new case. */
int32_t flota_model_input(flota_core_t *core, uint32_t offset, const uint8_t *data, uint32_t size);

/* Set the model's state to its initial values: a new stream begins. Nothing where it has none, or where there is no
 * model. Inputs that are in the arena stay. */
int32_t flota_model_reset(flota_core_t *core);

/* Run the model on a complete case. A streaming model finds the state that the last run left. */
int32_t flota_model_run(flota_core_t *core, flota_run_cost_t *cost);

/* Copy a piece of the last run's output tensors. */
int32_t flota_model_output(const flota_core_t *core, uint32_t offset, uint8_t *data, uint32_t size);

/* Run every golden case from the initial state, and leave the model in it. Returns their count, -FLOTA_STATUS_SELFTEST_MISMATCH at the first wrong output byte, or what
 * flota_model_run returned. */
int32_t flota_model_selftest(flota_core_t *core);

#endif
