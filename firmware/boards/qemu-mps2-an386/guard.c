/* The memory protection unit, as a guard rail for model code that runs astray: below the stack and in the firmware's
 * code a write faults, and the flash can be written by its driver only. Fault and NMI handlers run without it. */
#include "board.h"
#include "flota/board_config.h"
#include "registers.h"

/* Armv7-M Architecture Reference Manual B3.5 */
#define MPU_CONTROL FLOTA_REGISTER(0xE000ED94u)
#define MPU_REGION FLOTA_REGISTER(0xE000ED98u)
#define MPU_BASE FLOTA_REGISTER(0xE000ED9Cu)
#define MPU_ATTRIBUTES FLOTA_REGISTER(0xE000EDA0u)
#define READ_ONLY (5u << 24)
#define NO_ACCESS (0u << 24)
#define EXECUTE_NEVER (1u << 28)

enum { REGION_CODE, REGION_BELOW_STACK, REGION_FLASH };

/* A region of 2^`log2_bytes` bytes at `base`, which is a multiple of that. */
static void set_region(uint32_t region, uint32_t base, uint32_t log2_bytes, uint32_t access)
{
    MPU_REGION = region;
    MPU_BASE = base;
    MPU_ATTRIBUTES = access | (log2_bytes - 1u) << 1 | 1u;
}

static uint32_t log2_of(uint32_t bytes)
{
    uint32_t result = 0;

    while ((1u << result) < bytes) {
        result++;
    }
    return result;
}

void flota_guard_start(void)
{
    set_region(REGION_CODE, FLOTA_CODE_BASE, log2_of(FLOTA_CODE_BYTES), READ_ONLY);
    set_region(REGION_BELOW_STACK, FLOTA_RAM_BASE - 0x10000000u, 28, NO_ACCESS | EXECUTE_NEVER);
    set_region(REGION_FLASH, FLOTA_FLASH_BASE, log2_of(FLOTA_FLASH_BYTES), READ_ONLY);
    MPU_CONTROL = 5u; /* on; the default map where no region is */
    __asm__ volatile("dsb\nisb" ::: "memory");
}

void flota_guard_flash(bool on)
{
    MPU_REGION = REGION_FLASH;
    MPU_ATTRIBUTES = on ? (READ_ONLY | (log2_of(FLOTA_FLASH_BYTES) - 1u) << 1 | 1u) : 0;
    __asm__ volatile("dsb\nisb" ::: "memory");
}
