/* What the harness has from the startup code. Sizes in bytes. */
#ifndef FLOTA_BARE_STARTUP_H
#define FLOTA_BARE_STARTUP_H

#include <stdint.h>

/* What the emulator exits with; hil/bare/run.py knows the same numbers. */
enum {
    BARE_EXIT_DONE = 0,
    BARE_EXIT_FILES = 10,  /* the file of inferences cannot be read, or the answers cannot be written */
    BARE_EXIT_MODEL = 11,  /* there is no such model */
    BARE_EXIT_SETUP = 12,  /* the engine did not set the model up */
    BARE_EXIT_INPUT = 13,  /* an inference has other bytes than the model's inputs */
    BARE_EXIT_INVOKE = 14, /* the engine failed */
    BARE_EXIT_FAULT = 15   /* the processor faulted */
};

extern uint32_t bare_stack_bottom[];
extern uint32_t bare_stack_top[];

/* Ask the emulator; see Arm's "Semihosting for AArch32 and AArch64". */
uint32_t bare_semihosting(uint32_t operation, const void *block);

/* End the emulator. */
__attribute__((noreturn)) void bare_exit(uint32_t status);

/* How much of the heap was ever handed out. */
uint32_t bare_heap_bytes(void);

#endif
