/* What a run of the model costs: instructions, counted exactly, and stack.
 *
 * With `-icount shift=0` an instruction takes 1 ns of the board's time and the board's counter changes every 40
 * instructions or sooner. 42 loads of it in a row, an instruction each, see it change at least once; where it changes
 * says at which instruction between two changes the first load stood. Two such rows, before and after the call, give
 * the difference to the instruction. What the measuring itself executes is found by measuring a function of known length.
 */
#include "board.h"

#define SAMPLES 42u
#define EMPTY_INSTRUCTIONS 2u
#define PAINT 0xA5A5A5A5u

typedef int32_t (*invoke_t)(uint8_t *arena);

/* A row of samples, and room for the registers it is taken with: the row itself uses no stack. */
typedef struct {
    uint32_t samples[SAMPLES];
    uint32_t saved[8 + 16];
} row_t;

extern uint32_t flota_stack_bottom[];
extern uint32_t flota_stack_top[];

static row_t before;
static row_t after;
static flota_run_cost_t overhead; /* what measuring a function that does nothing shows */
static uint32_t *lowest; /* lowest stack word that was ever seen used */

int32_t flota_measure_empty(uint8_t *arena);
void flota_measure_row(const volatile uint32_t *counter, row_t *row);

__attribute__((naked, noinline)) int32_t flota_measure_empty(uint8_t *arena)
{
    (void)arena;
    __asm__ volatile("movs r0, #0 \n"
                     "bx lr       \n");
}

__attribute__((naked, noinline)) void flota_measure_row(const volatile uint32_t *counter, row_t *row)
{
    (void)counter;
    (void)row;
    __asm__ volatile("add r2, r1, #168             \n" /* offsetof(row_t, saved) */
                     "stmia r2!, {r4-r11}          \n"
                     "vstmia r2, {s16-s31}         \n"
                     ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
                     "vldr s\\n, [r0]              \n"
                     ".endr                        \n"
                     ".irp n,2,3,4,5,6,7,8,9,10,11 \n"
                     "ldr r\\n, [r0]               \n"
                     ".endr                        \n"
                     "vstmia r1!, {s0-s31}         \n"
                     "stmia r1!, {r2-r11}          \n"
                     "ldmia r1!, {r4-r11}          \n"
                     "vldmia r1, {s16-s31}         \n"
                     "bx lr                        \n");
}

/* Index of the first sample after a change of the counter. */
static uint32_t change_in(const row_t *row)
{
    uint32_t i = 1;

    while (i < SAMPLES - 1u && row->samples[i] == row->samples[0]) {
        i++;
    }
    return i;
}

/* Instructions from the first load of `before` to the first load of `after`. */
static uint64_t distance(void)
{
    const uint32_t first = change_in(&before);
    const uint32_t second = change_in(&after);

    return flota_counter_distance(before.samples[first], after.samples[second]) + first - second;
}

__attribute__((noinline)) static int32_t call_between_rows(const volatile uint32_t *counter, invoke_t invoke,
                                                           uint8_t *arena)
{
    int32_t result;

    flota_measure_row(counter, &before);
    result = invoke(arena);
    flota_measure_row(counter, &after);
    return result;
}

/* The lowest word of the stack that is not paint. */
static uint32_t *lowest_used(void)
{
    uint32_t *word = flota_stack_bottom;

    while (word < flota_stack_top && *word == PAINT) {
        word++;
    }
    return word;
}

static void remember_peak(void)
{
    uint32_t *const used = lowest_used();

    if (used < lowest) {
        lowest = used;
    }
}

/* Paint the free stack, run, and look. Interrupts are off: none may be counted, nor write over the paint. The
 * watchdog's NMI still comes. */
__attribute__((noinline)) static int32_t measure(invoke_t invoke, uint8_t *arena, flota_run_cost_t *cost)
{
    uint32_t *pointer;
    uint32_t *used;
    int32_t result;

    remember_peak();
    __asm__ volatile("cpsid i\nmov %0, sp" : "=r"(pointer)::"memory");
    for (volatile uint32_t *word = flota_stack_bottom; word < pointer; word++) {
        *word = PAINT;
    }
    result = call_between_rows(flota_counter_restart(), invoke, arena);
    used = lowest_used();
    __asm__ volatile("cpsie i" ::: "memory");
    cost->instructions = distance();
    cost->stack_bytes = (uint32_t)((uint8_t *)pointer - (uint8_t *)used);
    remember_peak();
    return result;
}

void flota_measure_start(void)
{
    (void)measure(flota_measure_empty, (uint8_t *)0, &overhead);
    overhead.instructions -= EMPTY_INSTRUCTIONS;
    lowest = flota_stack_top; /* what was there before the first painting is of earlier boots */
}

int32_t flota_measure_run(uint32_t entry, uint8_t *arena, flota_run_cost_t *cost)
{
    /* The address is the image's own; its Thumb bit was set by the linker. */
    const int32_t result = measure((invoke_t)(uintptr_t)entry, arena, cost);

    cost->instructions -= overhead.instructions;
    cost->stack_bytes -= overhead.stack_bytes;
    return result;
}

uint32_t flota_measure_overhead(void)
{
    return (uint32_t)overhead.instructions;
}

uint32_t flota_stack_peak(void)
{
    remember_peak();
    return (uint32_t)((uint8_t *)flota_stack_top - (uint8_t *)lowest);
}
