#include "../sigmoid_s16.h"
#include "dsp.h"
#include "flota/nn_dsp_recurrent.h"
#include "quads.h"

static int32_t scale(const flota_nn_dsp_factor_t *factor, int32_t product, int32_t zero)
{
    const int32_t bias = (int32_t)((uint32_t)(2 * zero + 1) << (factor->shift - 1));

    return dsp_requantize(product, factor->multiplier, factor->shift, bias);
}

/* The next state of a unit's cell. Products of gates and cells stay under 2^30. */
static int32_t next_cell(const flota_nn_dsp_lstm_t *lstm, const int16_t *gate, int32_t cell)
{
    const int32_t in = flota_nn_sigmoid_s16(3 * gate[0]);
    const int32_t forget = flota_nn_sigmoid_s16(3 * gate[1]);
    const int32_t candidate = flota_nn_tanh_s16(3 * gate[2]);
    const int32_t kept = dsp_ssat16(scale(&lstm->forget, forget * cell, 0));
    const int32_t added = dsp_ssat16(scale(&lstm->update, in * candidate, 0));

    return clamp(kept + added, lstm->cell_min, lstm->cell_max);
}

/* The arguments of all gates: the products with the input and with the hidden state of before. */
static void find_gates(const flota_nn_dsp_lstm_t *lstm, const int8_t *input, const int8_t *hidden, int16_t *gates)
{
    int8_t *const copy = (int8_t *)(gates + 4 * lstm->units);
    uint32_t *const words = (uint32_t *)(void *)gates;

    for (int32_t i = 0; i < 2 * lstm->units; i++) {
        words[i] = 0;
    }
    lstm->multiply_input(&lstm->input, quads_of(input, lstm->in_features, copy), gates);
    lstm->multiply_recurrent(&lstm->recurrent, quads_of(hidden, lstm->units, copy), gates);
}

static void step(const flota_nn_dsp_lstm_t *lstm, const int8_t *input, int8_t *hidden, int16_t *cell, int8_t *output,
                 int16_t *gates)
{
    find_gates(lstm, input, hidden, gates);
    for (int32_t unit = 0; unit < lstm->units; unit++) {
        const int32_t next = next_cell(lstm, gates, cell[unit]);
        const int32_t out = flota_nn_sigmoid_s16(3 * gates[3]);
        const int32_t squashed = flota_nn_tanh_of_cell(next, lstm->cell_multiplier, lstm->cell_shift);
        const int8_t value = (int8_t)dsp_ssat8(scale(&lstm->output, squashed * out, lstm->hidden_zero));

        cell[unit] = (int16_t)next;
        hidden[unit] = value;
        output[unit] = value;
        gates += 4;
    }
}

void flota_nn_dsp_lstm_s8_s16(const flota_nn_dsp_lstm_t *lstm, const int8_t *input, int8_t *hidden, int16_t *cell,
                              int8_t *output, uint8_t *scratch)
{
    int16_t *const gates = (int16_t *)(void *)scratch;

    for (int32_t batch = 0; batch < lstm->batches; batch++) {
        for (int32_t time = 0; time < lstm->steps; time++) {
            const int32_t row = batch * lstm->batch_rows + time * lstm->step_rows;

            step(lstm, input + row * lstm->in_features, hidden, cell, output + row * lstm->units, gates);
        }
        hidden += lstm->units;
        cell += lstm->units;
    }
}
