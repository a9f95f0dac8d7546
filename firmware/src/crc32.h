/* CRC-32 as in zlib, IEEE 802.3: polynomial 0xEDB88320 reflected, start and end inverted. */
#ifndef FLOTA_CRC32_H
#define FLOTA_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Continue `crc` (0 at the start) over `size` bytes. */
uint32_t flota_crc32_update(uint32_t crc, const void *data, size_t size);

#endif
