/* UART0 with a receive ring. The host waits for an answer before it asks again, so one frame is the most that comes. */
#include "board.h"
#include "flota/core.h"
#include "registers.h"

#define RING_BYTES 8192u /* a power of two, more than a frame */

typedef char ring_holds_a_frame[RING_BYTES > FLOTA_ENCODED_BYTES ? 1 : -1];

static volatile uint8_t ring[RING_BYTES];
static volatile uint32_t written; /* by the interrupt only */
static volatile uint32_t taken;   /* by the main program only */

void flota_uart_start(void)
{
    FLOTA_UART_DIVIDER = 16u; /* the least there is; the emulated line has no speed */
    FLOTA_UART_CONTROL = FLOTA_UART_CONTROL_TX | FLOTA_UART_CONTROL_RX | FLOTA_UART_CONTROL_RX_INTERRUPT;
    FLOTA_NVIC_ENABLE(FLOTA_UART_INTERRUPT_NUMBER) = 1u << FLOTA_UART_INTERRUPT_NUMBER % 32u;
}

void flota_uart_interrupt(void)
{
    FLOTA_UART_INTERRUPT = FLOTA_UART_INTERRUPT_RX;
    while ((FLOTA_UART_STATE & FLOTA_UART_STATE_RX_FULL) != 0) {
        const uint8_t byte = (uint8_t)FLOTA_UART_DATA;

        if (written - taken < RING_BYTES) { /* else dropped; the frame's CRC tells */
            ring[written % RING_BYTES] = byte;
            written = written + 1u;
        }
    }
}

bool flota_uart_take(uint8_t *byte)
{
    if (written == taken) {
        return false;
    }
    *byte = ring[taken % RING_BYTES];
    taken = taken + 1u;
    return true;
}

void flota_uart_write(const uint8_t *data, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        while ((FLOTA_UART_STATE & FLOTA_UART_STATE_TX_FULL) != 0) {
        }
        FLOTA_UART_DATA = data[i];
    }
}

void flota_uart_wait(void)
{
    /* Masked, a pending interrupt still ends the wait: none is lost between the look and the sleep. */
    __asm__ volatile("cpsid i" ::: "memory");
    if (written == taken) {
        __asm__ volatile("dsb\nwfi" ::: "memory");
    }
    __asm__ volatile("cpsie i\nisb" ::: "memory");
}
