/* SHA-512, FIPS 180-4. */
#ifndef FLOTA_SHA512_H
#define FLOTA_SHA512_H

#include <stddef.h>
#include <stdint.h>

#define FLOTA_SHA512_BYTES 64u

typedef struct {
    uint64_t state[8];
    uint64_t total;             /* bytes taken so far */
    uint8_t block[128];
} flota_sha512_t;

void flota_sha512_start(flota_sha512_t *hash);
void flota_sha512_update(flota_sha512_t *hash, const uint8_t *data, size_t size);
void flota_sha512_finish(flota_sha512_t *hash, uint8_t digest[FLOTA_SHA512_BYTES]);

#endif
