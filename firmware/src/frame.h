/* COBS framing (Cheshire and Baker 1999). Sizes in bytes. */
#ifndef FLOTA_FRAME_H
#define FLOTA_FRAME_H

#include <stdint.h>

/* Where encoded bytes go. */
typedef void (*flota_frame_write_t)(void *context, const uint8_t *data, uint32_t size);

/* Write `data` COBS-encoded between two zero bytes. */
void flota_frame_send(const uint8_t *data, uint32_t size, flota_frame_write_t write, void *context);

/* Decode in place what stood between two zero bytes. Returns the decoded size, or -FLOTA_STATUS_BAD_REQUEST when the
 * bytes are not COBS. */
int32_t flota_frame_decode(uint8_t *data, uint32_t size);

#endif
