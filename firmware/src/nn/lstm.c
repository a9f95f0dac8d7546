#include <string.h>

#include "fixed_point.h"
#include "flota/nn.h"
#include "sigmoid_s16.h"

static int16_t saturate(int32_t x) { return (int16_t)clamp(x, INT16_MIN, INT16_MAX); }

static int32_t dot(int32_t count, const int8_t *weights, const int8_t *values, int32_t offset)
{
    int32_t sum = 0;

    for (int32_t i = 0; i < count; i++) {
        sum += weights[i] * (values[i] + offset);
    }
    return sum;
}

/* A gate of one unit before its activation, Q3.12. Both products are rounded to 16 bits before they are added. */
static int32_t gate(const flota_nn_lstm_t *lstm, const flota_nn_lstm_gate_t *weights, int32_t unit, const int8_t *input,
                    const int8_t *hidden)
{
    const int32_t inputs = lstm->in_features;
    const int32_t units = lstm->units;
    const int32_t seen = weights->bias[unit] + dot(inputs, weights->input_weights + unit * inputs, input,
                                                   lstm->input_offset);
    const int32_t recalled = dot(units, weights->recurrent_weights + unit * units, hidden, lstm->hidden_offset);

    return saturate(saturate(multiply_by_quantized(seen, weights->input_multiplier, weights->input_shift)) +
                    saturate(multiply_by_quantized(recalled, weights->recurrent_multiplier,
                                                   weights->recurrent_shift)));
}

static int32_t scale(const flota_nn_factor_t *factor, int32_t product)
{
    return multiply_by_quantized(product, factor->multiplier, factor->shift);
}

static int16_t next_cell(const flota_nn_lstm_t *lstm, int32_t forget, int32_t in, int32_t candidate, int32_t cell)
{
    const int32_t kept = saturate(scale(&lstm->forget, forget * cell));
    const int32_t added = saturate(scale(&lstm->update, in * candidate));

    return (int16_t)clamp(kept + added, lstm->cell_min, lstm->cell_max);
}

/* One step of one batch: `hidden` and `cell` become the next ones, the output is the next hidden state. Every gate reads
 * the hidden state of before, so the new one is gathered in the output first. */
static void step(const flota_nn_lstm_t *lstm, const int8_t *input, int8_t *hidden, int16_t *cell, int8_t *output)
{
    for (int32_t unit = 0; unit < lstm->units; unit++) {
        const int32_t forget = flota_nn_sigmoid_s16(3 * gate(lstm, &lstm->forget_gate, unit, input, hidden));
        const int32_t in = flota_nn_sigmoid_s16(3 * gate(lstm, &lstm->input_gate, unit, input, hidden));
        const int32_t candidate = flota_nn_tanh_s16(3 * gate(lstm, &lstm->cell_gate, unit, input, hidden));
        const int32_t out = flota_nn_sigmoid_s16(3 * gate(lstm, &lstm->output_gate, unit, input, hidden));
        int32_t value;

        cell[unit] = next_cell(lstm, forget, in, candidate, cell[unit]);
        value = scale(&lstm->output,
                      flota_nn_tanh_of_cell(cell[unit], lstm->cell_multiplier, lstm->cell_shift) * out);
        output[unit] = (int8_t)clamp(wrapping_add(value, -lstm->hidden_offset), -128, 127);
    }
    memcpy(hidden, output, (size_t)lstm->units);
}

void flota_nn_lstm_s8_s16(const flota_nn_lstm_t *lstm, const int8_t *input, int8_t *hidden, int16_t *cell,
                          int8_t *output)
{
    for (int32_t batch = 0; batch < lstm->batches; batch++) {
        for (int32_t time = 0; time < lstm->steps; time++) {
            const int32_t row = batch * lstm->batch_rows + time * lstm->step_rows;

            step(lstm, input + row * lstm->in_features, hidden, cell, output + row * lstm->units);
        }
        hidden += lstm->units;
        cell += lstm->units;
    }
}
