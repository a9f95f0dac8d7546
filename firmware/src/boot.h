/* What boots, and the host's wishes about slots. Results: 0 or a negative flota error. */
#ifndef FLOTA_BOOT_H
#define FLOTA_BOOT_H

#include "flota/core.h"

/* Decide which slot runs, as firmware/README.md says, and make its model the running one. */
void flota_boot_run(flota_core_t *core);

/* Make a slot EMPTY in the boot record, so that its bytes may be changed. Refused for the running slot, and for the
 * confirmed slot that an unconfirmed running image would fall back to. */
int32_t flota_boot_empty(flota_core_t *core, uint8_t slot);

/* The received image in `slot` was verified. */
int32_t flota_boot_received(flota_core_t *core, uint8_t slot, uint32_t image_bytes);

/* Let `slot` run at the next boot; `probation_ms` 0 takes the board's default. */
int32_t flota_boot_activate(flota_core_t *core, uint8_t slot, uint32_t probation_ms);

/* The image running in `slot` is good; the floor rises to its security counter. Refused when another slot runs: the
 * host must not take an image for confirmed that was given up meanwhile. */
int32_t flota_boot_confirm(flota_core_t *core, uint8_t slot);

/* Prepare to run the other confirmed image at the next boot. */
int32_t flota_boot_rollback(flota_core_t *core);

/* Milliseconds until the running image is rolled back; 0 when it needs no confirmation. */
uint32_t flota_boot_probation_left(const flota_core_t *core);

#endif
