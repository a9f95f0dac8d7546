#include "boot.h"

#include <string.h>

#include "image.h"
#include "model_host.h"
#include "record.h"
#include "slots.h"

static bool slot_exists(uint8_t slot)
{
    return slot < 2u;
}

static uint8_t other_slot(uint8_t slot)
{
    return (uint8_t)(1u - slot);
}

/* Step one slot in `record`, which is not stored yet. */
static int32_t step(flota_boot_record_t *record, uint8_t slot, flota_slot_event_t event)
{
    const int32_t state = flota_slot_step(record->state[slot], event);

    if (state < 0) {
        return state;
    }
    record->state[slot] = (uint8_t)state;
    if (event == FLOTA_SLOT_EVENT_ERASE) {
        record->image_bytes[slot] = 0;
        record->verdict[slot] = FLOTA_VERDICT_NONE;
        if (record->active == slot) {
            record->active = FLOTA_NO_SLOT;
        }
    }
    return 0;
}

/* Give a slot up for good. A failing flash is not reported: the state machine would do the same again at the next
 * boot, and meanwhile the image does not run. */
static void reject(flota_core_t *core, uint8_t slot, uint8_t verdict, uint8_t cause)
{
    flota_boot_record_t next = core->record;

    if (step(&next, slot, FLOTA_SLOT_EVENT_REJECT) != 0) {
        return;
    }
    next.verdict[slot] = verdict;
    next.last_slot = slot;
    next.last_verdict = verdict;
    next.last_cause = cause;
    if (next.active == slot) {
        next.active = next.state[other_slot(slot)] == FLOTA_SLOT_STATE_CONFIRMED ? other_slot(slot) : FLOTA_NO_SLOT;
    }
    (void)flota_record_store(core, &next);
    core->record.state[slot] = FLOTA_SLOT_STATE_BAD;
}

static uint8_t verdict_of(uint8_t cause)
{
    switch (cause) {
    case FLOTA_RESET_CAUSE_CRASH:
        return FLOTA_VERDICT_CRASHED;
    case FLOTA_RESET_CAUSE_WATCHDOG:
        return FLOTA_VERDICT_WATCHDOG;
    case FLOTA_RESET_CAUSE_PROBATION:
        return FLOTA_VERDICT_PROBATION;
    default:
        return FLOTA_VERDICT_UNCONFIRMED;
    }
}

/* A slot that is TESTING when we boot was not confirmed before the last reset. */
static void judge_last_boot(flota_core_t *core)
{
    const uint8_t active = core->record.active;

    for (uint8_t slot = 0; slot < 2u; slot++) {
        if (core->record.state[slot] == FLOTA_SLOT_STATE_TESTING) {
            reject(core, slot, verdict_of(core->reset.cause), core->reset.cause);
            core->port->crashes_clear(core->port->context);
            core->reset.crashes = 0;
        }
    }
    if (slot_exists(active) && core->reset.crashes >= core->port->geometry.crash_limit &&
        core->record.state[active] == FLOTA_SLOT_STATE_CONFIRMED &&
        core->record.state[other_slot(active)] == FLOTA_SLOT_STATE_CONFIRMED) {
        reject(core, active, verdict_of(core->reset.cause), core->reset.cause);
        core->port->crashes_clear(core->port->context);
    }
}

static bool verify(flota_core_t *core, uint8_t slot)
{
    /* The record's size was signed for when the image was received; a header that grew since is caught by the check. */
    return flota_image_verify(core, slot, core->record.image_bytes[slot], &core->model) == 0;
}

static void start_armed(flota_core_t *core, uint8_t slot)
{
    flota_boot_record_t next = core->record;

    if (!verify(core, slot)) {
        reject(core, slot, FLOTA_VERDICT_INVALID, core->reset.cause);
        return;
    }
    /* TESTING is stored before the first instruction of the image runs: whatever it does, the next boot knows. */
    if (step(&next, slot, FLOTA_SLOT_EVENT_BOOT) != 0 || flota_record_store(core, &next) != 0) {
        return;
    }
    core->running = slot;
    core->probation_from_ms = core->port->uptime_ms(core->port->context);
    if (flota_model_selftest(core) < 0) {
        reject(core, slot, FLOTA_VERDICT_SELFTEST, core->reset.cause);
        core->running = FLOTA_NO_SLOT;
        /* Start over, so that nothing the failed image left in RAM is in the way of the other one. */
        core->port->reset(core->port->context, FLOTA_RESET_CAUSE_COMMANDED);
    }
}

static void start_confirmed(flota_core_t *core, uint8_t slot)
{
    if (core->running != FLOTA_NO_SLOT || core->record.state[slot] != FLOTA_SLOT_STATE_CONFIRMED) {
        return;
    }
    if (verify(core, slot) && flota_model_reset(core) == 0) {
        core->running = slot;
    } else if (core->factory.key_count > 0) {
        reject(core, slot, FLOTA_VERDICT_INVALID, core->reset.cause);
    }
}

void flota_boot_run(flota_core_t *core)
{
    uint8_t first;

    judge_last_boot(core);
    for (uint8_t slot = 0; slot < 2u && core->running == FLOTA_NO_SLOT; slot++) {
        if (core->record.state[slot] == FLOTA_SLOT_STATE_ARMED) {
            start_armed(core, slot);
        }
    }
    first = slot_exists(core->record.active) ? core->record.active : 0;
    start_confirmed(core, first);
    start_confirmed(core, other_slot(first));
    if (core->running == FLOTA_NO_SLOT) {
        memset(&core->model, 0, sizeof core->model);
    }
}

int32_t flota_boot_empty(flota_core_t *core, uint8_t slot)
{
    flota_boot_record_t next = core->record;
    int32_t error;

    if (!slot_exists(slot)) {
        return -FLOTA_STATUS_SLOT_UNKNOWN;
    }
    if (slot == core->running) {
        return -FLOTA_STATUS_SLOT_RUNNING;
    }
    if (next.state[slot] == FLOTA_SLOT_STATE_CONFIRMED && core->running != FLOTA_NO_SLOT &&
        next.state[core->running] != FLOTA_SLOT_STATE_CONFIRMED) {
        return -FLOTA_STATUS_SLOT_FALLBACK;
    }
    error = step(&next, slot, FLOTA_SLOT_EVENT_ERASE);
    return error != 0 ? error : flota_record_store(core, &next);
}

int32_t flota_boot_received(flota_core_t *core, uint8_t slot, uint32_t image_bytes)
{
    flota_boot_record_t next = core->record;
    const int32_t error = step(&next, slot, FLOTA_SLOT_EVENT_RECEIVED);

    next.image_bytes[slot] = image_bytes;
    return error != 0 ? error : flota_record_store(core, &next);
}

int32_t flota_boot_activate(flota_core_t *core, uint8_t slot, uint32_t probation_ms)
{
    flota_boot_record_t next = core->record;

    if (!slot_exists(slot)) {
        return -FLOTA_STATUS_SLOT_UNKNOWN;
    }
    if (slot == core->running) {
        return -FLOTA_STATUS_SLOT_RUNNING;
    }
    if (core->running != FLOTA_NO_SLOT && next.state[core->running] == FLOTA_SLOT_STATE_TESTING) {
        return -FLOTA_STATUS_WRONG_STATE; /* the running image needs its verdict first */
    }
    if (step(&next, slot, FLOTA_SLOT_EVENT_ACTIVATE) != 0) {
        return -FLOTA_STATUS_SLOT_NOT_READY;
    }
    if (next.state[slot] == FLOTA_SLOT_STATE_CONFIRMED) {
        next.active = slot;
    } else {
        next.probation_ms = probation_ms;
    }
    return flota_record_store(core, &next);
}

int32_t flota_boot_confirm(flota_core_t *core, uint8_t slot)
{
    flota_boot_record_t next = core->record;
    uint32_t counter;

    if (core->running == FLOTA_NO_SLOT) {
        return -FLOTA_STATUS_NO_MODEL;
    }
    if (slot != core->running) {
        return -FLOTA_STATUS_SLOT_NOT_RUNNING;
    }
    if (next.state[core->running] == FLOTA_SLOT_STATE_CONFIRMED) {
        return 0;
    }
    if (step(&next, core->running, FLOTA_SLOT_EVENT_CONFIRM) != 0) {
        return -FLOTA_STATUS_WRONG_STATE;
    }
    counter = flota_image_header(core, core->running).security_counter;
    next.active = core->running;
    next.floor = counter > next.floor ? counter : next.floor;
    return flota_record_store(core, &next);
}

int32_t flota_boot_rollback(flota_core_t *core)
{
    flota_boot_record_t next = core->record;
    flota_model_host_t unused;
    uint8_t other;

    if (core->running == FLOTA_NO_SLOT) {
        return -FLOTA_STATUS_NO_FALLBACK;
    }
    if (next.state[core->running] == FLOTA_SLOT_STATE_TESTING) {
        reject(core, core->running, FLOTA_VERDICT_COMMANDED, FLOTA_RESET_CAUSE_COMMANDED);
        return 0;
    }
    other = other_slot(core->running);
    if (next.state[other] != FLOTA_SLOT_STATE_CONFIRMED) {
        return -FLOTA_STATUS_NO_FALLBACK;
    }
    const int32_t error = flota_image_verify(core, other, next.image_bytes[other], &unused);
    if (error != 0) {
        return error;
    }
    next.active = other;
    next.last_slot = core->running;
    next.last_verdict = FLOTA_VERDICT_COMMANDED;
    next.last_cause = FLOTA_RESET_CAUSE_COMMANDED;
    return flota_record_store(core, &next);
}

uint32_t flota_boot_probation_left(const flota_core_t *core)
{
    uint32_t limit;
    uint32_t spent;

    if (core->running == FLOTA_NO_SLOT || core->record.state[core->running] != FLOTA_SLOT_STATE_TESTING) {
        return 0;
    }
    limit = core->record.probation_ms != 0 ? core->record.probation_ms : core->port->geometry.probation_ms;
    spent = core->port->uptime_ms(core->port->context) - core->probation_from_ms;
    return spent < limit ? limit - spent : 0;
}

void flota_core_start(flota_core_t *core, const flota_port_t *port, const flota_reset_info_t *reset)
{
    memset(core, 0, sizeof *core);
    core->port = port;
    core->reset = *reset;
    core->running = FLOTA_NO_SLOT;
    flota_factory_load(port->flash + port->geometry.factory_offset, port->geometry.board, &core->factory);
    flota_record_load(core);
    flota_boot_run(core);
}

void flota_core_poll(flota_core_t *core)
{
    const flota_port_t *port = core->port;

    port->watchdog_feed(port->context);
    if (core->running != FLOTA_NO_SLOT && core->record.state[core->running] == FLOTA_SLOT_STATE_TESTING &&
        flota_boot_probation_left(core) == 0) {
        reject(core, core->running, FLOTA_VERDICT_PROBATION, FLOTA_RESET_CAUSE_PROBATION);
        port->reset(port->context, FLOTA_RESET_CAUSE_PROBATION);
    }
}
