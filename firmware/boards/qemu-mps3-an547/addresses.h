/* Where the AN547 has its peripherals, by their Secure addresses (Arm Application Note AN547; SSE-300 TRM). */
#ifndef FLOTA_ADDRESSES_H
#define FLOTA_ADDRESSES_H

#define FLOTA_UART_BASE 0x59303000u
#define FLOTA_UART_INTERRUPT_NUMBER 33u /* UART0 receive */
#define FLOTA_WATCHDOG_BASE 0x5802E000u /* runs on the slow clock */
#define FLOTA_WATCHDOG_HZ 32000u
#define FLOTA_PROCESSOR_HZ 32000000u

#endif
