/* Smallest firmware that shows a board driver works: it counts its boots in flash, says hello and echoes.
 * 'R' resets the processor, 'H' says hello again ("boot N\n"), anything else comes back as it is. */
#include <stdint.h>

#define UART_DATA (*(volatile uint32_t *)0x40004000u)
#define UART_STATE (*(volatile uint32_t *)0x40004004u)
#define UART_CTRL (*(volatile uint32_t *)0x40004008u)
#define UART_BAUDDIV (*(volatile uint32_t *)0x40004010u)
#define SYSTICK_CTRL (*(volatile uint32_t *)0xE000E010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define SCB_AIRCR (*(volatile uint32_t *)0xE000ED0Cu)
#define FLASH_COUNTER (*(volatile uint32_t *)0x21000000u)

static void put(uint32_t byte) {
    while (UART_STATE & 1u) {
    }
    UART_DATA = byte;
}

static void hello(void) {
    for (const char *c = "boot "; *c; c++) {
        put((uint32_t)*c);
    }
    put('0' + FLASH_COUNTER % 10u);
    put('\n');
}

void reset_handler(void) {
    /* A running timer makes QEMU's main loop turn; without one it may not notice that the line can take bytes again. */
    SYSTICK_RELOAD = 24999u;
    SYSTICK_CTRL = 5u;
    UART_BAUDDIV = 16u;
    UART_CTRL = 3u;
    FLASH_COUNTER = FLASH_COUNTER == 0xFFFFFFFFu ? 1u : FLASH_COUNTER + 1u;
    for (;;) {
        while (!(UART_STATE & 2u)) {
        }
        uint32_t byte = UART_DATA & 0xFFu;
        if (byte == 'R') {
            SCB_AIRCR = 0x05FA0004u;
        } else if (byte == 'H') {
            hello();
        } else {
            put(byte);
        }
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[2] = {
    (const void *)0x20400000u, (const void *)reset_handler};
