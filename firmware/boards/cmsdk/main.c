/* The base firmware: the core, on this board's devices. */
#include "board.h"
#include "flota/board_config.h"
#include "flota/core.h"

extern uint8_t flota_arena[];
extern uint8_t flota_bss_end[];
extern uint8_t flota_data_start[];
extern const uint8_t flota_code_start[];
extern const uint8_t flota_code_end[];

static flota_core_t core;

static int32_t port_erase(void *context, uint32_t offset)
{
    (void)context;
    return flota_flash_erase(offset);
}

static int32_t port_program(void *context, uint32_t offset, const uint8_t *data, uint32_t size)
{
    (void)context;
    return flota_flash_program(offset, data, size);
}

static void port_write(void *context, const uint8_t *data, uint32_t size)
{
    (void)context;
    flota_uart_write(data, size);
}

static uint32_t port_uptime(void *context)
{
    (void)context;
    return flota_clock_ms();
}

static void port_feed(void *context)
{
    (void)context;
    flota_watchdog_feed();
}

static int32_t port_run(void *context, uint32_t entry, flota_run_cost_t *cost)
{
    (void)context;
    return flota_measure_run(entry, flota_arena, cost);
}

static void port_footprint(void *context, flota_footprint_t *footprint)
{
    (void)context;
    footprint->flash_bytes = (uint32_t)(flota_code_end - flota_code_start);
    footprint->ram_bytes = (uint32_t)(flota_bss_end - flota_data_start);
    footprint->stack_bytes = FLOTA_STACK_BYTES;
    footprint->stack_peak_bytes = flota_stack_peak();
    footprint->overhead_instructions = flota_measure_overhead();
}

static void port_clear(void *context)
{
    (void)context;
    flota_retained_clear_crashes();
}

static void port_reset(void *context, uint8_t cause)
{
    (void)context;
    flota_board_reset(cause);
}

static const flota_port_t PORT = {
    .geometry = FLOTA_GEOMETRY,
    .flash = (const uint8_t *)FLOTA_FLASH_BASE,
    .arena = flota_arena,
    .flash_erase = port_erase,
    .flash_program = port_program,
    .link_write = port_write,
    .uptime_ms = port_uptime,
    .watchdog_feed = port_feed,
    .model_run = port_run,
    .footprint = port_footprint,
    .crashes_clear = port_clear,
    .reset = port_reset,
};

int main(void)
{
    const flota_reset_info_t reset = flota_retained_boot();
    uint8_t byte;

    flota_guard_start();
    flota_clock_start();
    flota_tick_start();
    flota_watchdog_start();
    flota_measure_start();
    flota_uart_start();
    flota_core_start(&core, &PORT, &reset);
    for (;;) {
        while (flota_uart_take(&byte)) {
            flota_core_receive(&core, byte);
        }
        flota_core_poll(&core);
        flota_uart_wait();
    }
}
