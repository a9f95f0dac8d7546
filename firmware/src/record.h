/* The boot record: the slots' states, kept so that a power cut at any flash operation leaves the old or the new one. */
#ifndef FLOTA_RECORD_H
#define FLOTA_RECORD_H

#include "flota/core.h"

/* Find the newest valid record in the two sectors; without one, start with two EMPTY slots and floor 0. */
void flota_record_load(flota_core_t *core);

/* Make `next` the boot record: erase the sector that does not hold the present one, program it there. Sequence, magic
 * and CRC are filled in. Returns 0 or -FLOTA_STATUS_FLASH_FAILED; then the present record still counts. */
int32_t flota_record_store(flota_core_t *core, const flota_boot_record_t *next);

#endif
