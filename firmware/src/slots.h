/* The slots' state machine: which event leads from which state to which. firmware/README.md draws the same table. */
#ifndef FLOTA_SLOTS_H
#define FLOTA_SLOTS_H

#include <stdint.h>

#include "flota/core.h"

typedef enum {
    FLOTA_SLOT_EVENT_ERASE = 0,   /* emptied, or about to receive an image */
    FLOTA_SLOT_EVENT_RECEIVED,    /* an image was received and verified */
    FLOTA_SLOT_EVENT_ACTIVATE,    /* the host wants it to run */
    FLOTA_SLOT_EVENT_BOOT,        /* its code is about to run for the first time */
    FLOTA_SLOT_EVENT_CONFIRM,     /* the host found it good */
    FLOTA_SLOT_EVENT_REJECT,      /* it failed */
    FLOTA_SLOT_EVENT_COUNT
} flota_slot_event_t;

/* The state after `event` in `state`, or -FLOTA_STATUS_WRONG_STATE when the table has no such step. */
int32_t flota_slot_step(uint8_t state, flota_slot_event_t event);

#endif
