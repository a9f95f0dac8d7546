/* What libsodium's SHA-512 needs from its surroundings. */
#include <stddef.h>
#include <stdint.h>

#include "utils.h"

/* libsodium wipes its working memory with this; `volatile` keeps the compiler from leaving it out. */
void sodium_memzero(void *const memory, const size_t size)
{
    volatile uint8_t *bytes = memory;

    for (size_t i = 0; i < size; i++) {
        bytes[i] = 0;
    }
}
