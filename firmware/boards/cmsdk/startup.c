/* From reset to main(): vector table, stacks, .data and .bss, and what happens when the processor faults. */
#include <string.h>

#include "board.h"
#include "registers.h"

extern uint8_t flota_data_start[];
extern uint8_t flota_data_end[];
extern const uint8_t flota_data_load[];
extern uint8_t flota_bss_start[];
extern uint8_t flota_bss_end[];
extern uint8_t flota_stack_bottom[];
extern uint8_t flota_stack_top[];

void flota_startup_reset(void);
void flota_startup_run(void);
void flota_startup_fault(void);
void flota_startup_fault_record(const uint32_t *frame);
void flota_startup_watchdog(void);
void flota_startup_watchdog_record(const uint32_t *frame);
void flota_startup_tick(void);
void flota_startup_spurious(void);

/* Exceptions have a stack of their own, so that a model that overflows the main one can still be recorded. */
static uint64_t handler_stack[128];

typedef union {
    void (*handler)(void);
    void *stack;
} vector_t;

__attribute__((section(".vectors"), used)) static const vector_t VECTORS[16 + FLOTA_UART_INTERRUPT_NUMBER + 1] = {
    [0] = {.stack = handler_stack + sizeof handler_stack / sizeof handler_stack[0]},
    [1] = {flota_startup_reset},
    [2] = {flota_startup_watchdog}, /* NMI: the watchdog's first bite */
    [3] = {flota_startup_fault},
    [4] = {flota_startup_fault},
    [5] = {flota_startup_fault},
    [6] = {flota_startup_fault},
    [11] = {flota_startup_spurious},
    [12] = {flota_startup_spurious},
    [14] = {flota_startup_spurious},
    [15] = {flota_startup_tick},
    [16 + FLOTA_UART_INTERRUPT_NUMBER] = {flota_uart_interrupt}, /* no other interrupt is ever enabled */
};

/* The main program runs on the process stack; exceptions keep the one from the vector table. */
__attribute__((naked)) void flota_startup_reset(void)
{
    __asm__ volatile("cpsid i                     \n"
                     "ldr r0, =flota_stack_top    \n"
                     "msr psp, r0                 \n"
                     "movs r0, #2                 \n"
                     "msr control, r0             \n"
                     "isb                         \n"
                     "bl flota_startup_run        \n"
                     "b .                         \n"
                     ".ltorg                      \n");
}

__attribute__((used)) void flota_startup_run(void)
{
    FLOTA_CPACR |= 0xFu << 20; /* floating point on, and vectors where there are any */
    __asm__ volatile("dsb\nisb" ::: "memory");
    memcpy(flota_data_start, flota_data_load, (size_t)(flota_data_end - flota_data_start));
    memset(flota_bss_start, 0, (size_t)(flota_bss_end - flota_bss_start));
    main();
    flota_board_reset(FLOTA_RESET_CAUSE_CRASH);
}

__attribute__((naked)) void flota_startup_fault(void)
{
    __asm__ volatile("mrs r0, psp                      \n"
                     "b flota_startup_fault_record     \n");
}

/* The program counter in an exception frame on the main stack; 0 when the frame could not be written there. */
static uint32_t frame_address(const uint32_t *frame)
{
    const uintptr_t place = (uintptr_t)frame;
    const bool inside = place >= (uintptr_t)flota_stack_bottom && place + 32u <= (uintptr_t)flota_stack_top;

    return inside ? frame[6] : 0;
}

__attribute__((used, noreturn)) void flota_startup_fault_record(const uint32_t *frame)
{
    flota_retained_crashed(FLOTA_RESET_CAUSE_CRASH, frame_address(frame), FLOTA_CFSR);
    flota_board_reset(FLOTA_RESET_CAUSE_CRASH);
}

__attribute__((naked)) void flota_startup_watchdog(void)
{
    __asm__ volatile("mrs r0, psp                      \n"
                     "b flota_startup_watchdog_record  \n");
}

__attribute__((used, noreturn)) void flota_startup_watchdog_record(const uint32_t *frame)
{
    flota_retained_crashed(FLOTA_RESET_CAUSE_WATCHDOG, frame_address(frame), 0);
    flota_board_reset(FLOTA_RESET_CAUSE_WATCHDOG);
}

void flota_startup_tick(void)
{
    /* Only to wake the main loop. */
}

__attribute__((noreturn)) void flota_startup_spurious(void)
{
    flota_retained_crashed(FLOTA_RESET_CAUSE_CRASH, 0, 0);
    flota_board_reset(FLOTA_RESET_CAUSE_CRASH);
}
