/* The board link: takes frames apart, does what they ask, answers. flota/boardlink/protocol.py describes the bodies. */
#include <string.h>

#include "boot.h"
#include "crc32.h"
#include "frame.h"
#include "image.h"
#include "model_host.h"

/* A request being done. `out` has room for FLOTA_MAX_BODY_BYTES; the handler sets `out_bytes`. */
typedef struct {
    const uint8_t *in;
    uint32_t in_bytes;
    uint8_t *out;
    uint32_t out_bytes;
    bool reset;                 /* start over once the answer is sent */
} exchange_t;

typedef int32_t (*handler_t)(flota_core_t *core, exchange_t *exchange);

static uint32_t read_u32(const uint8_t *bytes)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof value);
    return value;
}

static void answer_with(exchange_t *exchange, const void *data, uint32_t size)
{
    memcpy(exchange->out + exchange->out_bytes, data, size);
    exchange->out_bytes += size;
}

static flota_slot_info_t slot_info(const flota_core_t *core, uint8_t slot)
{
    const uint8_t state = core->record.state[slot];
    flota_slot_info_t info;
    flota_image_header_t header;

    memset(&info, 0, sizeof info);
    info.state = state;
    info.verdict = core->record.verdict[slot];
    info.image_bytes = core->record.image_bytes[slot];
    if (state == FLOTA_SLOT_STATE_EMPTY || flota_image_check(core, slot, info.image_bytes) != 0) {
        return info;
    }
    header = flota_image_header(core, slot);
    info.major = header.major;
    info.minor = header.minor;
    info.patch = header.patch;
    info.security_counter = header.security_counter;
    memcpy(info.model, header.model, sizeof info.model);
    return info;
}

static int32_t handle_info(flota_core_t *core, exchange_t *exchange)
{
    const flota_geometry_t *geometry = &core->port->geometry;
    flota_info_t info;

    memset(&info, 0, sizeof info);
    memcpy(info.board, geometry->board, strlen(geometry->board));
    memcpy(info.serial, core->factory.serial, sizeof info.serial);
    info.firmware_major = FLOTA_FIRMWARE_MAJOR;
    info.firmware_minor = FLOTA_FIRMWARE_MINOR;
    info.firmware_patch = FLOTA_FIRMWARE_PATCH;
    info.running = core->running;
    info.reset_cause = core->reset.cause;
    info.floor = core->record.floor;
    info.arena_bytes = geometry->arena_bytes;
    info.slot_bytes = geometry->slot_bytes;
    info.boots = core->reset.boots;
    info.uptime_ms = core->port->uptime_ms(core->port->context);
    info.probation_left_ms = flota_boot_probation_left(core);
    info.input_bytes = core->model.input_bytes;
    info.output_bytes = core->model.output_bytes;
    info.instructions_per_tick = geometry->instructions_per_tick;
    info.last_slot = core->record.last_slot;
    info.last_verdict = core->record.last_verdict;
    info.last_cause = core->record.last_cause;
    info.provisioned = core->factory.key_count > 0;
    answer_with(exchange, &info, sizeof info);
    for (uint8_t slot = 0; slot < 2u; slot++) {
        const flota_slot_info_t one = slot_info(core, slot);

        answer_with(exchange, &one, sizeof one);
    }
    return 0;
}

static int32_t erase_slot(flota_core_t *core, uint8_t slot, uint32_t bytes)
{
    const flota_port_t *port = core->port;

    for (uint32_t done = 0; done < bytes; done += port->geometry.sector_bytes) {
        core->counters.erases++;
        port->watchdog_feed(port->context);
        if (port->flash_erase(port->context, port->geometry.slot_offset[slot] + done) != 0) {
            return -FLOTA_STATUS_FLASH_FAILED;
        }
    }
    return 0;
}

static int32_t handle_begin(flota_core_t *core, exchange_t *exchange)
{
    flota_begin_t begin;
    int32_t error;

    memcpy(&begin, exchange->in, sizeof begin);
    if (begin.image_bytes > core->port->geometry.slot_bytes) {
        return -FLOTA_STATUS_IMAGE_OVERSIZE;
    }
    core->transfer.active = false;
    error = flota_boot_empty(core, begin.slot);
    if (error == 0) {
        error = erase_slot(core, begin.slot, begin.image_bytes);
    }
    if (error == 0) {
        core->transfer.active = true;
        core->transfer.slot = begin.slot;
        core->transfer.image_bytes = begin.image_bytes;
        core->transfer.received = 0;
    }
    return error;
}

/* Program a piece; the last one is filled up with 0xFF to whole program units. */
static int32_t program_piece(flota_core_t *core, uint32_t offset, const uint8_t *data, uint32_t size)
{
    const flota_port_t *port = core->port;
    const uint32_t unit = port->geometry.program_bytes;
    const uint32_t whole = size - size % unit;
    const uint32_t place = port->geometry.slot_offset[core->transfer.slot] + offset;
    uint8_t last[64];
    int32_t error = 0;

    if (offset % unit != 0 || unit > sizeof last ||
        (whole != size && offset + size != core->transfer.image_bytes)) {
        return -FLOTA_STATUS_BAD_REQUEST;
    }
    if (whole > 0) {
        core->counters.programs++;
        error = port->flash_program(port->context, place, data, whole);
    }
    if (error == 0 && whole != size) {
        memset(last, 0xFF, sizeof last);
        memcpy(last, data + whole, size - whole);
        core->counters.programs++;
        error = port->flash_program(port->context, place + whole, last, unit);
    }
    return error == 0 && memcmp(port->flash + place, data, size) == 0 ? 0 : -FLOTA_STATUS_FLASH_FAILED;
}

static int32_t take_piece(flota_core_t *core, uint32_t offset, const uint8_t *data, uint32_t size)
{
    flota_transfer_t *transfer = &core->transfer;
    int32_t error;

    if (offset != transfer->received) {
        const bool known = offset <= transfer->received && size <= transfer->received - offset;

        return known && memcmp(flota_image_start(core, transfer->slot) + offset, data, size) == 0
                   ? 0
                   : -FLOTA_STATUS_BAD_OFFSET;
    }
    if (size > transfer->image_bytes - offset) {
        return -FLOTA_STATUS_IMAGE_OVERSIZE;
    }
    error = program_piece(core, offset, data, size);
    if (error == 0) {
        transfer->received += size;
    }
    return error;
}

static int32_t handle_chunk(flota_core_t *core, exchange_t *exchange)
{
    const uint32_t header_end = FLOTA_SIGNATURE_BYTES + (uint32_t)sizeof(flota_image_header_t);
    const uint32_t before = core->transfer.received;
    int32_t error;

    if (!core->transfer.active) {
        return -FLOTA_STATUS_WRONG_STATE;
    }
    error = take_piece(core, read_u32(exchange->in), exchange->in + 4, exchange->in_bytes - 4u);
    if (error == 0 && before < header_end && core->transfer.received >= header_end) {
        /* Refuse what can never run before all of it has been sent. */
        error = flota_image_check(core, core->transfer.slot, core->transfer.image_bytes);
        core->transfer.active = error == 0;
    }
    if (error == 0) {
        answer_with(exchange, &core->transfer.received, 4);
    }
    return error;
}

static int32_t handle_finish(flota_core_t *core, exchange_t *exchange)
{
    flota_transfer_t *transfer = &core->transfer;
    flota_model_host_t unused;
    int32_t error;

    (void)exchange;
    if (!transfer->active) {
        return -FLOTA_STATUS_WRONG_STATE;
    }
    transfer->active = false;
    if (transfer->received != transfer->image_bytes) {
        return -FLOTA_STATUS_IMAGE_TRUNCATED;
    }
    error = flota_image_verify(core, transfer->slot, transfer->image_bytes, &unused);
    return error != 0 ? error : flota_boot_received(core, transfer->slot, transfer->image_bytes);
}

static int32_t handle_activate(flota_core_t *core, exchange_t *exchange)
{
    flota_activate_t activate;
    int32_t error;

    memcpy(&activate, exchange->in, sizeof activate);
    error = flota_boot_activate(core, activate.slot, activate.probation_ms);
    exchange->reset = error == 0;
    return error;
}

static int32_t handle_confirm(flota_core_t *core, exchange_t *exchange)
{
    return flota_boot_confirm(core, exchange->in[0]);
}

static int32_t handle_rollback(flota_core_t *core, exchange_t *exchange)
{
    const int32_t error = flota_boot_rollback(core);

    exchange->reset = error == 0;
    return error;
}

static int32_t handle_input(flota_core_t *core, exchange_t *exchange)
{
    return flota_model_input(core, read_u32(exchange->in), exchange->in + 4, exchange->in_bytes - 4u);
}

static int32_t handle_run(flota_core_t *core, exchange_t *exchange)
{
    flota_run_result_t result;
    flota_run_cost_t cost = {0, 0};
    int32_t error = 0;

    if (exchange->in_bytes > 0 && exchange->in[0] > FLOTA_RUN_FRESH) {
        return -FLOTA_STATUS_BAD_REQUEST;
    }
    if (exchange->in_bytes > 0 && exchange->in[0] == FLOTA_RUN_FRESH) {
        error = flota_model_reset(core);
    }
    if (error == 0) {
        error = flota_model_run(core, &cost);
    }
    if (error == 0) {
        result.instructions = cost.instructions;
        result.output_bytes = core->model.output_bytes;
        result.stack_bytes = cost.stack_bytes;
        answer_with(exchange, &result, sizeof result);
    }
    return error;
}

static int32_t handle_output(flota_core_t *core, exchange_t *exchange)
{
    const uint32_t size = read_u32(exchange->in + 4);
    int32_t error;

    if (size > FLOTA_MAX_BODY_BYTES) {
        return -FLOTA_STATUS_BAD_REQUEST;
    }
    error = flota_model_output(core, read_u32(exchange->in), exchange->out, size);
    exchange->out_bytes = error == 0 ? size : 0;
    return error;
}

static int32_t handle_selftest(flota_core_t *core, exchange_t *exchange)
{
    const int32_t cases = flota_model_selftest(core);

    if (cases >= 0) {
        answer_with(exchange, &cases, 4);
        return 0;
    }
    return cases;
}

static int32_t handle_stats(flota_core_t *core, exchange_t *exchange)
{
    flota_footprint_t footprint;
    flota_stats_t stats;

    memset(&stats, 0, sizeof stats);
    core->port->footprint(core->port->context, &footprint);
    stats.flash_bytes = footprint.flash_bytes;
    stats.ram_bytes = footprint.ram_bytes;
    stats.stack_bytes = footprint.stack_bytes;
    stats.stack_peak_bytes = footprint.stack_peak_bytes;
    stats.overhead_instructions = footprint.overhead_instructions;
    stats.model_stack_peak_bytes = core->counters.model_stack_peak_bytes;
    stats.arena_bytes = core->port->geometry.arena_bytes;
    stats.runs = core->counters.runs;
    stats.frames = core->counters.frames;
    stats.bad_frames = core->counters.bad_frames;
    stats.repeats = core->counters.repeats;
    stats.erases = core->counters.erases;
    stats.programs = core->counters.programs;
    stats.crash_address = core->reset.crash_address;
    stats.crash_status = core->reset.crash_status;
    answer_with(exchange, &stats, sizeof stats);
    return 0;
}

static int32_t handle_reset(flota_core_t *core, exchange_t *exchange)
{
    (void)core;
    exchange->reset = true;
    return 0;
}

static int32_t handle_erase(flota_core_t *core, exchange_t *exchange)
{
    const uint8_t slot = exchange->in[0];
    int32_t error;

    core->transfer.active = false;
    error = flota_boot_empty(core, slot);
    return error != 0 ? error : erase_slot(core, slot, core->port->geometry.slot_bytes);
}

/* A command's handler and the sizes its request's body may have. */
static const struct {
    handler_t handler;
    uint32_t min_bytes;
    uint32_t max_bytes;
} COMMANDS[] = {
    [FLOTA_COMMAND_INFO] = {handle_info, 0, 0},
    [FLOTA_COMMAND_BEGIN] = {handle_begin, sizeof(flota_begin_t), sizeof(flota_begin_t)},
    [FLOTA_COMMAND_CHUNK] = {handle_chunk, 5, 4 + FLOTA_CHUNK_BYTES},
    [FLOTA_COMMAND_FINISH] = {handle_finish, 0, 0},
    [FLOTA_COMMAND_ACTIVATE] = {handle_activate, sizeof(flota_activate_t), sizeof(flota_activate_t)},
    [FLOTA_COMMAND_CONFIRM] = {handle_confirm, 1, 1},
    [FLOTA_COMMAND_ROLLBACK] = {handle_rollback, 0, 0},
    [FLOTA_COMMAND_INPUT] = {handle_input, 5, FLOTA_MAX_BODY_BYTES},
    [FLOTA_COMMAND_RUN] = {handle_run, 0, 1},
    [FLOTA_COMMAND_OUTPUT] = {handle_output, 8, 8},
    [FLOTA_COMMAND_SELFTEST] = {handle_selftest, 0, 0},
    [FLOTA_COMMAND_STATS] = {handle_stats, 0, 0},
    [FLOTA_COMMAND_RESET] = {handle_reset, 0, 0},
    [FLOTA_COMMAND_ERASE] = {handle_erase, 1, 1},
};

static void send_answer(flota_core_t *core)
{
    flota_frame_send((const uint8_t *)core->link.answer, core->link.answer_bytes, core->port->link_write,
                     core->port->context);
}

static int32_t dispatch(flota_core_t *core, uint8_t command, exchange_t *exchange)
{
    if (command >= sizeof COMMANDS / sizeof COMMANDS[0] || COMMANDS[command].handler == NULL) {
        return -FLOTA_STATUS_UNKNOWN_COMMAND;
    }
    if (exchange->in_bytes < COMMANDS[command].min_bytes || exchange->in_bytes > COMMANDS[command].max_bytes) {
        return -FLOTA_STATUS_BAD_REQUEST;
    }
    return COMMANDS[command].handler(core, exchange);
}

/* Do one request and send its answer. The answer is kept: it is given again when the same request comes again. */
static void do_request(flota_core_t *core, const flota_frame_header_t *request, const uint8_t *body, uint32_t bytes)
{
    flota_link_t *link = &core->link;
    uint8_t *plain = (uint8_t *)link->answer;
    exchange_t exchange = {body, bytes, plain + sizeof *request, 0, false};
    flota_frame_header_t header = *request;
    int32_t error;
    uint32_t crc;

    link->answer_bytes = 0; /* while `answer` is written it is no answer */
    error = dispatch(core, request->command, &exchange);
    header.type = FLOTA_FRAME_TYPE_RESPONSE;
    header.status = (uint8_t)(error < 0 ? -error : FLOTA_STATUS_OK);
    exchange.out_bytes = error < 0 ? 0 : exchange.out_bytes;
    memcpy(plain, &header, sizeof header);
    link->answer_bytes = (uint32_t)sizeof header + exchange.out_bytes;
    crc = flota_crc32_update(0, plain, link->answer_bytes);
    memcpy(plain + link->answer_bytes, &crc, sizeof crc);
    link->answer_bytes += (uint32_t)sizeof crc;
    send_answer(core);
    if (exchange.reset) {
        core->port->reset(core->port->context, FLOTA_RESET_CAUSE_COMMANDED);
    }
}

static void take_frame(flota_core_t *core)
{
    flota_link_t *link = &core->link;
    const int32_t decoded = flota_frame_decode(link->received, link->received_count);
    flota_frame_header_t header;
    uint32_t content;
    uint32_t crc;

    if (decoded < (int32_t)(sizeof header + FLOTA_CRC_BYTES) || decoded > (int32_t)FLOTA_FRAME_BYTES) {
        core->counters.bad_frames++;
        return;
    }
    content = (uint32_t)decoded - FLOTA_CRC_BYTES;
    crc = flota_crc32_update(0, link->received, content);
    memcpy(&header, link->received, sizeof header);
    if (crc != read_u32(link->received + content) || header.version != FLOTA_PROTOCOL_VERSION ||
        header.type != FLOTA_FRAME_TYPE_REQUEST) {
        core->counters.bad_frames++;
        return;
    }
    core->counters.frames++;
    if (link->answer_bytes > 0 && header.request_id == link->request_id && crc == link->request_crc) {
        core->counters.repeats++;
        send_answer(core);
        return;
    }
    link->request_id = header.request_id;
    link->request_crc = crc;
    do_request(core, &header, link->received + sizeof header, content - (uint32_t)sizeof header);
}

void flota_core_receive(flota_core_t *core, uint8_t byte)
{
    flota_link_t *link = &core->link;

    if (byte != 0) {
        if (link->received_count < sizeof link->received) {
            link->received[link->received_count++] = byte;
        } else {
            link->overrun = true;
        }
        return;
    }
    if (link->overrun) {
        core->counters.bad_frames++;
    } else if (link->received_count > 0) {
        take_frame(core);
    }
    link->received_count = 0;
    link->overrun = false;
}
