#include "model_host.h"

#include <string.h>

/* Walk over the bytes [offset, offset + size) of tensors laid end to end, and copy them to or from the arena. */
static void copy_tensors(uint8_t *arena, const flota_tensor_place_t *places, uint32_t offset, uint32_t size,
                         uint8_t *out, const uint8_t *in)
{
    uint32_t done = 0;

    for (; done < size; places++) {
        if (offset >= places->bytes) {
            offset -= places->bytes;
            continue;
        }
        const uint32_t left = places->bytes - offset;
        const uint32_t count = size - done < left ? size - done : left;

        if (in != NULL) {
            memcpy(arena + places->offset + offset, in + done, count);
        } else {
            memcpy(out + done, arena + places->offset + offset, count);
        }
        done += count;
        offset = 0;
    }
}

int32_t flota_model_input(flota_core_t *core, uint32_t offset, const uint8_t *data, uint32_t size)
{
    flota_model_host_t *model = &core->model;

    if (model->entry == 0) {
        return -FLOTA_STATUS_NO_MODEL;
    }
    if (offset != 0 && offset != model->input_received) {
        return -FLOTA_STATUS_BAD_OFFSET;
    }
    if (size == 0 || offset > model->input_bytes || size > model->input_bytes - offset) {
        return -FLOTA_STATUS_BAD_REQUEST;
    }
    model->output_valid = false;
    copy_tensors(core->port->arena, model->inputs, offset, size, NULL, data);
    model->input_received = offset + size;
    return 0;
}

int32_t flota_model_reset(flota_core_t *core)
{
    const flota_port_t *port = core->port;
    flota_run_cost_t cost = {0, 0};

    if (core->model.entry == 0 || core->model.reset_entry == 0) {
        return 0;
    }
    return port->model_run(port->context, core->model.reset_entry, &cost) == 0 ? 0 : -FLOTA_STATUS_MODEL_FAILED;
}

int32_t flota_model_run(flota_core_t *core, flota_run_cost_t *cost)
{
    const flota_port_t *port = core->port;
    flota_model_host_t *model = &core->model;

    if (model->entry == 0) {
        return -FLOTA_STATUS_NO_MODEL;
    }
    if (model->input_received != model->input_bytes) {
        return -FLOTA_STATUS_WRONG_STATE;
    }
    model->input_received = 0; /* invoke may overwrite its inputs */
    core->counters.runs++;
    port->watchdog_feed(port->context);
    if (port->model_run(port->context, model->entry, cost) != 0) {
        return -FLOTA_STATUS_MODEL_FAILED;
    }
    port->watchdog_feed(port->context);
    if (cost->stack_bytes > core->counters.model_stack_peak_bytes) {
        core->counters.model_stack_peak_bytes = cost->stack_bytes;
    }
    model->output_valid = true;
    return 0;
}

int32_t flota_model_output(const flota_core_t *core, uint32_t offset, uint8_t *data, uint32_t size)
{
    const flota_model_host_t *model = &core->model;

    if (model->entry == 0) {
        return -FLOTA_STATUS_NO_MODEL;
    }
    if (!model->output_valid) {
        return -FLOTA_STATUS_WRONG_STATE;
    }
    if (offset > model->output_bytes || size > model->output_bytes - offset) {
        return -FLOTA_STATUS_BAD_REQUEST;
    }
    copy_tensors(core->port->arena, model->outputs, offset, size, data, NULL);
    return 0;
}

/* Whether the arena's outputs are the expected bytes, compared in pieces that fit the stack. */
static bool outputs_equal(const flota_core_t *core, const uint8_t *expected)
{
    uint8_t piece[128];

    for (uint32_t done = 0; done < core->model.output_bytes; done += sizeof piece) {
        const uint32_t left = core->model.output_bytes - done;
        const uint32_t count = left < sizeof piece ? left : (uint32_t)sizeof piece;

        if (flota_model_output(core, done, piece, count) != 0 || memcmp(piece, expected + done, count) != 0) {
            return false;
        }
    }
    return true;
}

int32_t flota_model_selftest(flota_core_t *core)
{
    const flota_model_host_t *model = &core->model;

    if (model->entry == 0) {
        return -FLOTA_STATUS_NO_MODEL;
    }
    for (uint32_t i = 0; i < model->golden_count; i++) {
        flota_run_cost_t cost = {0, 0};
        int32_t error = flota_model_reset(core);

        if (error == 0) {
            error = flota_model_input(core, 0, model->golden_inputs + i * model->input_bytes, model->input_bytes);
        }
        if (error == 0) {
            error = flota_model_run(core, &cost);
        }
        if (error != 0) {
            return error;
        }
        if (!outputs_equal(core, model->golden_outputs + i * model->output_bytes)) {
            return -FLOTA_STATUS_SELFTEST_MISMATCH;
        }
    }
    core->model.output_valid = false;
    const int32_t error = flota_model_reset(core);

    return error != 0 ? error : (int32_t)model->golden_count;
}
