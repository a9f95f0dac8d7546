/* What the timing of a Cortex-M4 instruction depends on, read off its opcode.
 *
 * Cycles are modelled: zero wait states, the table of the Technical Reference Manual (r0p1, DDI 0439), see cortex_m4.c.
 */
#ifndef FLOTA_CORTEX_M4_H
#define FLOTA_CORTEX_M4_H

#include <stdbool.h>
#include <stdint.h>

/* A row of the timing table: `cycles` + `per_register` * N, and the refill where the instruction changes the pc. */
typedef enum {
    M4_DATA,
    M4_DIVIDE,
    M4_LOAD,
    M4_STORE_IMMEDIATE,
    M4_STORE_REGISTER,
    M4_LOAD_DOUBLE,
    M4_STORE_DOUBLE,
    M4_LOAD_MULTIPLE,
    M4_STORE_MULTIPLE,
    M4_EXCLUSIVE,
    M4_BRANCH,
    M4_TABLE_BRANCH,
    M4_IT,
    M4_SYSTEM,
    M4_BARRIER,
    M4_HINT,
    M4_FP_SIMPLE,
    M4_FP_ARITHMETIC,
    M4_FP_ACCUMULATE,
    M4_FP_DIVIDE,
    M4_FP_CORE_PAIR,
    M4_FP_LOAD,
    M4_FP_STORE,
    M4_FP_MULTIPLE,
    M4_ROWS
} m4_row_t;

typedef struct {
    const char *name;
    const char *section; /* of the Technical Reference Manual */
    uint8_t cycles;
    uint8_t per_register;
    bool memory;    /* touches memory; when it did not, its condition failed and it took M4_SKIPPED cycles */
    bool pipelines; /* a single load: the load or store after it may take one cycle less */
    bool pipelined; /* may take that one cycle less itself */
} m4_timing_t;

extern const m4_timing_t M4_TIMINGS[M4_ROWS];

#define M4_REFILL 2u  /* P: the pipeline refill of a taken branch; the manual says 1 to 3 */
#define M4_SKIPPED 1u /* an instruction whose condition failed */
#define M4_STALL 1u   /* an address that the instruction before computed; an FP result that the next one consumes */
#define M4_SAVED 1u   /* what pipelining saves */

/* Register sets are bit masks: bit n is Rn, or Sn for the floating-point ones. */
typedef struct {
    m4_row_t row;
    uint8_t registers;    /* N of the row: registers transferred */
    bool call;            /* BL or BLX: leaves a return address */
    uint16_t addresses;   /* core registers the address is made of */
    uint16_t loaded;      /* core registers it loads, or updates as a base: not there in time for the next address */
    uint16_t computed;    /* core registers it computes: the next address waits for them */
    uint32_t fp_consumed; /* floating-point registers it reads */
    uint32_t fp_computed; /* floating-point registers it computes by arithmetic */
    bool may_be_unaligned; /* a word or halfword access that may pay for a bad alignment */
} m4_instruction_t;

/* Decode a Thumb instruction: its halfwords, and how many bytes it has (2 or 4; `second` is ignored for 2). */
m4_instruction_t m4_decode(uint16_t first, uint16_t second, unsigned int size);

/* Cycles of `now` without refill and waits of others. `accessed`: whether it touched memory. */
unsigned int m4_cycles(const m4_instruction_t *now, bool accessed);

/* What `now` saves because it is an IT right behind an instruction of `size_before` bytes: its cycle or nothing. */
unsigned int m4_folded(unsigned int size_before, const m4_instruction_t *now);

/* What `now` saves because `before` (which touched memory if `accessed`) is a load that it pipelines with: 0 or 1. */
unsigned int m4_saved(const m4_instruction_t *before, bool accessed, const m4_instruction_t *now);

/* Cycles `now` waits for an address that `before` computed: 0 or 1. */
unsigned int m4_address_stall(const m4_instruction_t *before, const m4_instruction_t *now);

/* Cycles that `before` takes longer because `now` consumes its floating-point result: 0 or 1. */
unsigned int m4_result_stall(const m4_instruction_t *before, const m4_instruction_t *now);

/* Extra cycles of an access of `1 << size_shift` bytes at `address`. */
unsigned int m4_unaligned(uint64_t address, unsigned int size_shift);

#endif
