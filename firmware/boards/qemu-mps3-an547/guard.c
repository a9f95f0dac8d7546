/* The memory protection unit (Armv8-M), as a guard rail for model code that runs astray: below the stack and in the
 * firmware's code a write faults, and the flash can be written by its driver only. Fault and NMI handlers run without
 * it. Armv8-M has no «no access» for privileged code, so what is below the stack can be read; nothing is there. */
#include "board.h"
#include "flota/board_config.h"
#include "registers.h"

#define MPU_CONTROL FLOTA_REGISTER(0xE000ED94u)
#define MPU_REGION FLOTA_REGISTER(0xE000ED98u)
#define MPU_BASE FLOTA_REGISTER(0xE000ED9Cu)
#define MPU_LIMIT FLOTA_REGISTER(0xE000EDA0u)
#define MPU_MEMORY_TYPES FLOTA_REGISTER(0xE000EDC0u)
#define NORMAL_MEMORY 0xFFu /* type 0: cached, write-back */
#define READ_ONLY (2u << 1)
#define EXECUTE_NEVER 1u
#define BELOW_STACK_BYTES 0x00800000u

enum { REGION_CODE, REGION_BELOW_STACK, REGION_FLASH };

/* A read-only region of `bytes` bytes at `base`, both multiples of 32. */
static void set_region(uint32_t region, uint32_t base, uint32_t bytes, uint32_t access)
{
    MPU_REGION = region;
    MPU_BASE = base | READ_ONLY | access;
    MPU_LIMIT = ((base + bytes - 1u) & ~31u) | 1u;
}

void flota_guard_start(void)
{
    MPU_MEMORY_TYPES = NORMAL_MEMORY;
    set_region(REGION_CODE, FLOTA_CODE_BASE, FLOTA_CODE_BYTES, 0);
    set_region(REGION_BELOW_STACK, FLOTA_RAM_BASE - BELOW_STACK_BYTES, BELOW_STACK_BYTES, EXECUTE_NEVER);
    set_region(REGION_FLASH, FLOTA_FLASH_BASE, FLOTA_FLASH_BYTES, 0);
    MPU_CONTROL = 5u; /* on; the default map where no region is */
    __asm__ volatile("dsb\nisb" ::: "memory");
}

void flota_guard_flash(bool on)
{
    MPU_REGION = REGION_FLASH;
    MPU_LIMIT = on ? (((FLOTA_FLASH_BASE + FLOTA_FLASH_BYTES - 1u) & ~31u) | 1u) : 0;
    __asm__ volatile("dsb\nisb" ::: "memory");
}
