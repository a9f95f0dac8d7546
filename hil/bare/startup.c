/* From reset to main(), and out again: vectors, .data and .bss, constructors, the heap's end, semihosting. */
#include "startup.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define CPACR (*(volatile uint32_t *)0xE000ED88u)
#define SYS_EXIT_EXTENDED 0x20u
#define APPLICATION_EXIT 0x20026u

extern uint8_t bare_data_start[];
extern uint8_t bare_data_end[];
extern const uint8_t bare_data_load[];
extern uint8_t bare_bss_start[];
extern uint8_t bare_bss_end[];
extern uint8_t bare_heap_end[];
extern void (*const bare_init_start[])(void);
extern void (*const bare_init_end[])(void);

void bare_reset(void);
void bare_run(void);
void bare_fault(void);
void *_sbrk(ptrdiff_t bytes);
int main(void);

typedef union {
    void (*handler)(void);
    void *stack;
} vector_t;

__attribute__((section(".vectors"), used)) static const vector_t VECTORS[16] = {
    [0] = {.stack = bare_stack_top},
    [1] = {bare_reset},
    [2] = {bare_fault},
    [3] = {bare_fault},
    [4] = {bare_fault},
    [5] = {bare_fault},
    [6] = {bare_fault},
    [7] = {bare_fault},
    [11] = {bare_fault},
    [12] = {bare_fault},
    [14] = {bare_fault},
    [15] = {bare_fault},
};

static uint8_t *heap_top;

uint32_t bare_semihosting(uint32_t operation, const void *block)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = block;

    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

__attribute__((noreturn)) void bare_exit(uint32_t status)
{
    const uint32_t block[2] = {APPLICATION_EXIT, status};

    for (;;) {
        (void)bare_semihosting(SYS_EXIT_EXTENDED, block);
    }
}

/* The stack pointer may be anywhere: take a good one first. */
__attribute__((naked)) void bare_fault(void)
{
    __asm__ volatile("ldr r0, =bare_stack_top \n"
                     "mov sp, r0              \n"
                     "movs r0, %0             \n"
                     "b bare_exit             \n"
                     ".ltorg                  \n" ::"i"(BARE_EXIT_FAULT));
}

__attribute__((naked)) void bare_reset(void)
{
    __asm__ volatile("ldr r0, =bare_stack_top \n"
                     "mov sp, r0              \n"
                     "b bare_run              \n"
                     ".ltorg                  \n");
}

__attribute__((used)) void bare_run(void)
{
    CPACR |= 0xFu << 20; /* floating point on */
    __asm__ volatile("dsb\nisb" ::: "memory");
    memcpy(bare_data_start, bare_data_load, (size_t)(bare_data_end - bare_data_start));
    memset(bare_bss_start, 0, (size_t)(bare_bss_end - bare_bss_start));
    heap_top = bare_bss_end;
    for (void (*const *constructor)(void) = bare_init_start; constructor < bare_init_end; constructor++) {
        (*constructor)();
    }
    bare_exit((uint32_t)main());
}

void *_sbrk(ptrdiff_t bytes)
{
    uint8_t *const before = heap_top;

    if (bytes > bare_heap_end - heap_top) {
        errno = ENOMEM;
        return (void *)-1;
    }
    heap_top += bytes;
    return before;
}

uint32_t bare_heap_bytes(void)
{
    return (uint32_t)(heap_top - bare_bss_end);
}
