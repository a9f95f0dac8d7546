/* What the parts of a port with CMSDK peripherals ask of each other. Registers are 32 bits wide.
 *
 * The files beside this one are shared; addresses.h, counter.c and guard.c are the board's own.
 */
#ifndef FLOTA_BOARD_H
#define FLOTA_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "flota/port.h"

/* What survives a reset but no power cut. */
typedef struct {
    uint32_t magic;
    uint32_t cause;             /* flota_reset_cause_t of the next boot */
    uint32_t boots;
    uint32_t crashes;
    uint32_t crash_address;
    uint32_t crash_status;
    uint32_t check;             /* CRC-32 of everything before it */
} flota_retained_t;

/* retained.c */
flota_reset_info_t flota_retained_boot(void);
void flota_retained_crashed(uint8_t cause, uint32_t address, uint32_t status);
void flota_retained_clear_crashes(void);
void flota_board_reset(uint8_t cause) __attribute__((noreturn));

/* uart.c: the board link's line */
void flota_uart_start(void);
bool flota_uart_take(uint8_t *byte);
void flota_uart_write(const uint8_t *data, uint32_t size);
void flota_uart_interrupt(void);
/* Sleep until a byte is there or the next tick (10 ms). */
void flota_uart_wait(void);

/* clock.c */
void flota_tick_start(void);
void flota_watchdog_start(void);
void flota_watchdog_feed(void);

/* counter.c, the board's: the time since boot, and a counter of executed instructions. */
void flota_clock_start(void);
uint32_t flota_clock_ms(void);
/* The register to read; it changes at the moments that flota_counter_distance knows, at most 40 instructions apart. */
const volatile uint32_t *flota_counter_restart(void);
/* Instructions from the first one that read `from` to the first one that read `to`, which is later. */
uint64_t flota_counter_distance(uint32_t from, uint32_t to);

/* flash.c: a memory that a file holds, driven as if it were NOR flash */
int32_t flota_flash_erase(uint32_t offset);
int32_t flota_flash_program(uint32_t offset, const uint8_t *data, uint32_t size);

/* guard.c, the board's: what a model gone astray cannot write */
void flota_guard_start(void);
void flota_guard_flash(bool on);

/* measure.c */
void flota_measure_start(void);
int32_t flota_measure_run(uint32_t entry, uint8_t *arena, flota_run_cost_t *cost);
uint32_t flota_measure_overhead(void);
uint32_t flota_stack_peak(void);

/* main.c */
int main(void);

#endif
