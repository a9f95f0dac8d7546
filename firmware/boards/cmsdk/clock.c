/* The tick that wakes the main loop, and the watchdog. Both count the board's own time. */
#include "board.h"
#include "flota/board_config.h"
#include "registers.h"

#define TICK_HZ 100u

void flota_tick_start(void)
{
    FLOTA_SYSTICK_RELOAD = FLOTA_PROCESSOR_HZ / TICK_HZ - 1u;
    FLOTA_SYSTICK_VALUE = 0;
    FLOTA_SYSTICK_CONTROL = 7u; /* on, with interrupt, from the processor clock */
}

void flota_watchdog_start(void)
{
    FLOTA_WATCHDOG_LOCK = FLOTA_WATCHDOG_UNLOCK_KEY;
    FLOTA_WATCHDOG_LOAD = FLOTA_WATCHDOG_HZ / 1000u * FLOTA_WATCHDOG_MS;
    FLOTA_WATCHDOG_CLEAR = 1u;
    FLOTA_WATCHDOG_CONTROL = 3u; /* NMI, then reset */
    FLOTA_WATCHDOG_LOCK = 0;
}

void flota_watchdog_feed(void)
{
    FLOTA_WATCHDOG_LOCK = FLOTA_WATCHDOG_UNLOCK_KEY;
    FLOTA_WATCHDOG_CLEAR = 1u;
    FLOTA_WATCHDOG_LOCK = 0;
}
