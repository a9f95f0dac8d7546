/* A file-backed memory, driven with the rules of NOR flash: erase whole sectors to 1, program whole units once.
 *
 * Bytes go out in order, one unit at a time: killing the emulator in between leaves what a power cut would leave. */
#include "board.h"
#include "flota/board_config.h"

static volatile uint32_t *words_at(uint32_t offset)
{
    return (volatile uint32_t *)(FLOTA_FLASH_BASE + offset);
}

int32_t flota_flash_erase(uint32_t offset)
{
    volatile uint32_t *words = words_at(offset);

    if (offset % FLOTA_SECTOR_BYTES != 0 || offset >= FLOTA_FLASH_BYTES) {
        return -FLOTA_STATUS_FLASH_FAILED;
    }
    flota_guard_flash(false);
    for (uint32_t i = 0; i < FLOTA_SECTOR_BYTES / 4u; i++) {
        words[i] = 0xFFFFFFFFu;
    }
    flota_guard_flash(true);
    return 0;
}

int32_t flota_flash_program(uint32_t offset, const uint8_t *data, uint32_t size)
{
    volatile uint32_t *words = words_at(offset);
    int32_t error = 0;

    if (offset % FLOTA_PROGRAM_BYTES != 0 || size % FLOTA_PROGRAM_BYTES != 0 || offset > FLOTA_FLASH_BYTES ||
        size > FLOTA_FLASH_BYTES - offset) {
        return -FLOTA_STATUS_FLASH_FAILED;
    }
    flota_guard_flash(false);
    for (uint32_t i = 0; i < size / 4u && error == 0; i++) {
        const uint8_t *bytes = data + 4u * i;

        if (words[i] != 0xFFFFFFFFu) {
            error = -FLOTA_STATUS_FLASH_FAILED; /* not erased */
        } else {
            words[i] =
                (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        }
    }
    flota_guard_flash(true);
    return error;
}
