/* The portable core: boot decision, slots, board link, model host.
 *
 *   static flota_core_t core;
 *   flota_core_start(&core, &port, &reset_info);   decides what runs; may reset
 *   for (;;) {
 *       while (a byte came) flota_core_receive(&core, byte);   answers requests
 *       flota_core_poll(&core);                                probation, at least every 100 ms
 *   }
 *
 * The core owns no memory but the caller's flota_core_t and never allocates. It is not reentrant.
 */
#ifndef FLOTA_CORE_H
#define FLOTA_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "flota/port.h"
#include "flota/wire.h"

#define FLOTA_FRAME_BYTES (sizeof(flota_frame_header_t) + FLOTA_MAX_BODY_BYTES + FLOTA_CRC_BYTES)
#define FLOTA_ENCODED_BYTES (FLOTA_FRAME_BYTES + FLOTA_FRAME_BYTES / 254u + 1u)

/* One tensor's place in the arena, bytes. */
typedef struct {
    uint32_t offset;
    uint32_t bytes;
} flota_tensor_place_t;

/* The model that runs; `entry` is 0 when there is none. */
typedef struct {
    uint32_t entry;             /* address of invoke() */
    uint32_t reset_entry;       /* address of reset(); 0 where the model has no state */
    uint32_t input_count;
    uint32_t output_count;
    flota_tensor_place_t inputs[FLOTA_MAX_TENSORS];
    flota_tensor_place_t outputs[FLOTA_MAX_TENSORS];
    uint32_t input_bytes;       /* of one case */
    uint32_t output_bytes;      /* of one case */
    uint32_t golden_count;
    const uint8_t *golden_inputs;
    const uint8_t *golden_outputs;
    uint32_t input_received;    /* bytes of the next case that are in the arena */
    bool output_valid;          /* the arena holds the outputs of the last run */
} flota_model_host_t;

/* The image being received; `active` is false when there is none. */
typedef struct {
    bool active;
    uint8_t slot;
    uint32_t image_bytes;
    uint32_t received;
} flota_transfer_t;

/* The link's buffers and the answer that can be given again. */
typedef struct {
    uint8_t received[FLOTA_ENCODED_BYTES];
    uint32_t received_count;
    bool overrun;               /* the frame is too long; drop it up to its delimiter */
    uint32_t answer[(FLOTA_FRAME_BYTES + 3u) / 4u]; /* plain bytes of the last answer */
    uint32_t answer_bytes;      /* 0 = none */
    uint32_t request_crc;       /* of the request it answers */
    uint16_t request_id;
} flota_link_t;

typedef struct {
    uint32_t runs;
    uint32_t frames;
    uint32_t bad_frames;
    uint32_t repeats;
    uint32_t erases;
    uint32_t programs;
    uint32_t model_stack_peak_bytes;
} flota_counters_t;

typedef struct {
    const flota_port_t *port;
    flota_reset_info_t reset;
    flota_factory_page_t factory;   /* key_count is 0 when there is no valid page */
    flota_boot_record_t record;     /* as it stands in flash */
    uint32_t record_sector;         /* 0 or 1: the sector that holds it */
    uint8_t running;                /* slot, or FLOTA_NO_SLOT */
    uint32_t probation_from_ms;
    flota_model_host_t model;
    flota_transfer_t transfer;
    flota_link_t link;
    flota_counters_t counters;
} flota_core_t;

/* Read the flash, decide which image runs, verify and test it, and start it. May call port->reset. */
void flota_core_start(flota_core_t *core, const flota_port_t *port, const flota_reset_info_t *reset);

/* Take one byte from the host; a complete request is done and answered before this returns. */
void flota_core_receive(flota_core_t *core, uint8_t byte);

/* Watch the probation time. May call port->reset. */
void flota_core_poll(flota_core_t *core);

#endif
