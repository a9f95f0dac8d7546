/* The SSE-300's system counter: it counts up at 32 MHz, tells the time and counts what a model executes.
 *
 * A count is 31.25 instructions, so a tick of FLOTA_CLOCK_HZ, which is a whole number of instructions, is four counts.
 * From its start at instruction 0 the counter takes the value n at the first instruction that is not before 31.25 n.
 */
#include "board.h"
#include "flota/board_config.h"
#include "registers.h"

#define COUNTER_CONTROL FLOTA_REGISTER(0x58100000u)
#define COUNTER_CONTROL_ON 1u
#define COUNTER_LOW FLOTA_REGISTER(0x58100008u)
#define COUNTER_HIGH FLOTA_REGISTER(0x5810000Cu)
#define COUNTER_STATUS_LOW FLOTA_REGISTER(0x58101000u)
#define COUNTS_PER_TICK 4u
#define COUNTS_PER_MS (FLOTA_CLOCK_HZ / 1000u * COUNTS_PER_TICK)

static uint32_t last_value;
static uint64_t elapsed; /* counts since start */

void flota_clock_start(void)
{
    COUNTER_CONTROL = 0;
    COUNTER_LOW = 0;
    COUNTER_HIGH = 0;
    COUNTER_CONTROL = COUNTER_CONTROL_ON;
    last_value = 0;
    elapsed = 0;
}

uint32_t flota_clock_ms(void)
{
    /* The main loop calls this far more often than the low word wraps (134 s). */
    const uint32_t value = COUNTER_STATUS_LOW;

    elapsed += value - last_value;
    last_value = value;
    return (uint32_t)(elapsed / COUNTS_PER_MS);
}

const volatile uint32_t *flota_counter_restart(void)
{
    return &COUNTER_STATUS_LOW; /* it goes on: it also tells the time, and no run outlasts its low word */
}

static uint64_t instant(uint64_t count)
{
    return (count * FLOTA_INSTRUCTIONS_PER_TICK + COUNTS_PER_TICK - 1u) / COUNTS_PER_TICK;
}

uint64_t flota_counter_distance(uint32_t from, uint32_t to)
{
    return instant((uint64_t)from + (to - from)) - instant(from);
}
