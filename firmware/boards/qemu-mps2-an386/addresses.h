/* Where the AN386 has its peripherals (Arm Application Note 386, section 3.5). */
#ifndef FLOTA_ADDRESSES_H
#define FLOTA_ADDRESSES_H

#define FLOTA_UART_BASE 0x40004000u
#define FLOTA_UART_INTERRUPT_NUMBER 0u /* UART0 receive */
#define FLOTA_WATCHDOG_BASE 0x40008000u
#define FLOTA_WATCHDOG_HZ FLOTA_CLOCK_HZ
#define FLOTA_PROCESSOR_HZ FLOTA_CLOCK_HZ

#endif
