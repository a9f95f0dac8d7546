/* The CMSDK APB timers, which count down at 25 MHz: one counts what a model executes, the other tells the time. */
#include "board.h"
#include "flota/board_config.h"
#include "registers.h"

#define TIMER0 0x40000000u /* measures the model */
#define TIMER1 0x40001000u /* tells the time */
#define CONTROL(base) FLOTA_REGISTER((base) + 0x0u)
#define VALUE(base) FLOTA_REGISTER((base) + 0x4u)
#define RELOAD(base) FLOTA_REGISTER((base) + 0x8u)
#define TICKS_PER_MS (FLOTA_CLOCK_HZ / 1000u)

static uint32_t last_value;
static uint64_t elapsed; /* timer ticks since start */

static void start(uint32_t timer)
{
    RELOAD(timer) = 0xFFFFFFFFu;
    VALUE(timer) = 0xFFFFFFFFu;
    CONTROL(timer) = 1u;
}

void flota_clock_start(void)
{
    start(TIMER1);
    last_value = VALUE(TIMER1);
    elapsed = 0;
}

uint32_t flota_clock_ms(void)
{
    /* The main loop calls this far more often than the timer wraps (171 s). */
    const uint32_t value = VALUE(TIMER1);

    elapsed += last_value - value;
    last_value = value;
    return (uint32_t)(elapsed / TICKS_PER_MS);
}

const volatile uint32_t *flota_counter_restart(void)
{
    start(TIMER0);
    return &VALUE(TIMER0);
}

uint64_t flota_counter_distance(uint32_t from, uint32_t to)
{
    return (uint64_t)(from - to) * FLOTA_INSTRUCTIONS_PER_TICK;
}
