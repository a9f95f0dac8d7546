/* Time since boot, the tick that wakes the main loop, and the watchdog. All count the board's own clock. */
#include "board.h"
#include "flota/board_config.h"
#include "registers.h"

#define TICK_HZ 100u
#define TICKS_PER_MS (FLOTA_CLOCK_HZ / 1000u)

static uint32_t last_value;
static uint64_t elapsed; /* clock ticks since start */

void flota_clock_start(void)
{
    FLOTA_TIMER_RELOAD(FLOTA_TIMER1) = 0xFFFFFFFFu;
    FLOTA_TIMER_VALUE(FLOTA_TIMER1) = 0xFFFFFFFFu;
    FLOTA_TIMER_CONTROL(FLOTA_TIMER1) = 1u;
    last_value = FLOTA_TIMER_VALUE(FLOTA_TIMER1);
    elapsed = 0;
    FLOTA_SYSTICK_RELOAD = FLOTA_CLOCK_HZ / TICK_HZ - 1u;
    FLOTA_SYSTICK_VALUE = 0;
    FLOTA_SYSTICK_CONTROL = 7u; /* on, with interrupt, from the processor clock */
}

uint32_t flota_clock_ms(void)
{
    /* The main loop calls this far more often than the timer wraps (171 s). */
    const uint32_t value = FLOTA_TIMER_VALUE(FLOTA_TIMER1);

    elapsed += last_value - value;
    last_value = value;
    return (uint32_t)(elapsed / TICKS_PER_MS);
}

void flota_watchdog_start(void)
{
    FLOTA_WATCHDOG_LOCK = FLOTA_WATCHDOG_UNLOCK_KEY;
    FLOTA_WATCHDOG_LOAD = TICKS_PER_MS * FLOTA_WATCHDOG_MS;
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
