/* The last bytes of RAM, which nobody clears: how the last boot ended. */
#include "board.h"
#include "crc32.h"
#include "registers.h"

#define MAGIC 0x464C5452u

extern flota_retained_t flota_retained;

static uint32_t check_of(const flota_retained_t *retained)
{
    return flota_crc32_update(0, retained, sizeof *retained - sizeof retained->check);
}

static void seal(void)
{
    flota_retained.magic = MAGIC;
    flota_retained.check = check_of(&flota_retained);
}

flota_reset_info_t flota_retained_boot(void)
{
    flota_reset_info_t info;

    if (flota_retained.magic != MAGIC || flota_retained.check != check_of(&flota_retained)) {
        flota_retained = (flota_retained_t){.cause = FLOTA_RESET_CAUSE_POWER_ON};
    }
    flota_retained.boots++;
    info.cause = (uint8_t)flota_retained.cause;
    info.boots = flota_retained.boots;
    info.crashes = flota_retained.crashes;
    info.crash_address = flota_retained.crash_address;
    info.crash_status = flota_retained.crash_status;
    /* A reset that leaves no word, such as the reset button, is an orderly one. */
    flota_retained.cause = FLOTA_RESET_CAUSE_COMMANDED;
    flota_retained.crash_address = 0;
    flota_retained.crash_status = 0;
    seal();
    return info;
}

void flota_retained_crashed(uint8_t cause, uint32_t address, uint32_t status)
{
    flota_retained.cause = cause;
    flota_retained.crashes++;
    flota_retained.crash_address = address;
    flota_retained.crash_status = status;
    seal();
}

void flota_retained_clear_crashes(void)
{
    flota_retained.crashes = 0;
    seal();
}

void flota_board_reset(uint8_t cause)
{
    flota_retained.cause = cause;
    if (cause == FLOTA_RESET_CAUSE_COMMANDED) {
        flota_retained.crashes = 0;
    }
    seal();
    __asm__ volatile("dsb" ::: "memory");
    FLOTA_AIRCR = FLOTA_AIRCR_RESET;
    for (;;) {
        __asm__ volatile("dsb" ::: "memory");
    }
}
