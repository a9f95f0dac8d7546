/* The contract between the portable core and a board: what the core asks of the hardware.
 *
 * The board fills one flota_port_t and keeps it for ever; `context` is handed back to every callback. Sizes and offsets
 * are in bytes, offsets count from the start of the flash, times are milliseconds of the board's own clock. A callback
 * returns 0 or a negative flota error (-FLOTA_STATUS_...). None may be NULL.
 */
#ifndef FLOTA_PORT_H
#define FLOTA_PORT_H

#include <stdint.h>

#include "flota/wire.h"

typedef struct {
    const char *board;          /* name, as images and factory page must carry it */
    uint32_t flash_base;        /* address at which code sees the flash */
    uint32_t sector_bytes;      /* smallest piece that can be erased */
    uint32_t program_bytes;     /* smallest piece that can be programmed; a divisor of sector_bytes */
    uint32_t factory_offset;    /* one sector */
    uint32_t state_offset;      /* two sectors */
    uint32_t slot_offset[2];    /* A, B */
    uint32_t slot_bytes;        /* whole sectors */
    uint32_t arena_bytes;
    uint32_t probation_ms;      /* default time to confirm an activated image in */
    uint32_t crash_limit;       /* crashes in a row after which a confirmed image gives way */
    uint32_t instructions_per_tick; /* 0 where instructions cannot be counted */
} flota_geometry_t;

/* Why and how the processor started; what survived the reset. */
typedef struct {
    uint8_t cause;              /* flota_reset_cause_t */
    uint32_t boots;             /* since power came on, this one included */
    uint32_t crashes;           /* resets in a row that were crashes or watchdog bites, up to now */
    uint32_t crash_address;     /* program counter, 0 = none */
    uint32_t crash_status;      /* the processor's fault status */
} flota_reset_info_t;

/* What one run of a model took. */
typedef struct {
    uint64_t instructions;      /* 0 = not counted */
    uint32_t stack_bytes;
} flota_run_cost_t;

/* What the board knows about the firmware it was built into, bytes. */
typedef struct {
    uint32_t flash_bytes;
    uint32_t ram_bytes;
    uint32_t stack_bytes;
    uint32_t stack_peak_bytes;
    uint32_t overhead_instructions;
} flota_footprint_t;

typedef struct flota_port {
    void *context;
    flota_geometry_t geometry;
    const uint8_t *flash;       /* the flash, mapped for reading */
    uint8_t *arena;             /* geometry.arena_bytes, aligned to 16 */

    /* Set the sector at `offset` to 0xFF. */
    int32_t (*flash_erase)(void *context, uint32_t offset);
    /* Program whole, erased units; programming a unit again without an erase is an error. */
    int32_t (*flash_program)(void *context, uint32_t offset, const uint8_t *data, uint32_t size);
    /* Send bytes to the host; returns when the last one is on its way. */
    void (*link_write)(void *context, const uint8_t *data, uint32_t size);
    uint32_t (*uptime_ms)(void *context);
    /* Tell the watchdog that the core is alive. */
    void (*watchdog_feed)(void *context);
    /* Call the model's code at address `entry` with the arena; returns what it returns. */
    int32_t (*model_run)(void *context, uint32_t entry, flota_run_cost_t *cost);
    void (*footprint)(void *context, flota_footprint_t *footprint);
    /* Forget the crashes in a row. */
    void (*crashes_clear)(void *context);
    /* Start over; does not return. */
    void (*reset)(void *context, uint8_t cause);
} flota_port_t;

#endif
