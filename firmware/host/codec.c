/* The core's codecs behind standard input: a letter and hex a line, hex (or `-` for a refusal) back.
 *   e encode a frame's bytes · d decode what stands between delimiters · c CRC-32 · s SHA-512 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "crc32.h"
#include "crypto_hash_sha512.h"
#include "frame.h"

#define MAX_BYTES 16384u

static char line[2u * MAX_BYTES + 4u];
static uint8_t bytes[MAX_BYTES];

static void print(void *context, const uint8_t *data, uint32_t size)
{
    (void)context;
    for (uint32_t i = 0; i < size; i++) {
        printf("%02x", data[i]);
    }
}

static uint32_t parse(const char *hex)
{
    uint32_t count = 0;
    unsigned value;

    while (count < MAX_BYTES && sscanf(hex + 2u * count, "%2x", &value) == 1) {
        bytes[count++] = (uint8_t)value;
    }
    return count;
}

static void answer(char kind, uint32_t size)
{
    uint8_t digest[crypto_hash_sha512_BYTES];
    crypto_hash_sha512_state hash;
    int32_t decoded;

    switch (kind) {
    case 'e':
        flota_frame_send(bytes, size, print, NULL);
        break;
    case 'd':
        decoded = flota_frame_decode(bytes, size);
        if (decoded < 0) {
            printf("-");
        } else {
            print(NULL, bytes, (uint32_t)decoded);
        }
        break;
    case 'c':
        printf("%08x", (unsigned)flota_crc32_update(0, bytes, size));
        break;
    default:
        (void)crypto_hash_sha512_init(&hash);
        (void)crypto_hash_sha512_update(&hash, bytes, size / 3u); /* in two pieces, to cross block borders */
        (void)crypto_hash_sha512_update(&hash, bytes + size / 3u, size - size / 3u);
        (void)crypto_hash_sha512_final(&hash, digest);
        print(NULL, digest, sizeof digest);
    }
}

int main(void)
{
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        answer(line[0], parse(line + 1));
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
