/* Images: what may run. The Python twin is flota/image.py. */
#ifndef FLOTA_IMAGE_H
#define FLOTA_IMAGE_H

#include <stdint.h>

#include "flota/core.h"

/* Address in flash of a slot's first byte. */
const uint8_t *flota_image_start(const flota_core_t *core, uint8_t slot);

/* The header of the image in `slot`; its fields mean nothing before a check succeeded. */
flota_image_header_t flota_image_header(const flota_core_t *core, uint8_t slot);

/* Check form, board, slot and size of the image of `image_bytes` bytes in `slot`, without its signature: what can be
 * said as soon as the header has been received. Returns 0 or -FLOTA_STATUS_IMAGE_... */
int32_t flota_image_check(const flota_core_t *core, uint8_t slot, uint32_t image_bytes);

/* flota_image_check, then signature, floor, arena, model description and golden vectors. On success `model` describes
 * the model, else it is untouched. */
int32_t flota_image_verify(const flota_core_t *core, uint8_t slot, uint32_t image_bytes, flota_model_host_t *model);

/* Read the factory page at `page` into `factory`; key_count is 0 when it is not valid for `board`. */
void flota_factory_load(const uint8_t *page, const char *board, flota_factory_page_t *factory);

#endif
