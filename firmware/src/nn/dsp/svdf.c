#include <stddef.h>

#include "dsp.h"
#include "flota/nn_dsp_recurrent.h"
#include "quads.h"

/* Rows of a state of int8 and of their weights, from the one at work on. */
typedef struct {
    int8_t *state;
    const int8_t *weights;
} rows_s8_t;

typedef struct {
    int16_t *state;
    const int16_t *weights;
} rows_s16_t;

static int32_t add_products_s8(uint32_t values, uint32_t weights, int32_t sum)
{
    sum = dsp_smlad(dsp_sxtb16(values), dsp_sxtb16(weights), sum);
    return dsp_smlad(dsp_sxtb16_odd(values), dsp_sxtb16_odd(weights), sum);
}

/* The row moves by one towards its oldest value, and is multiplied with its weights on the way. */
static int32_t move_row_s8(rows_s8_t *rows, int32_t memory, int32_t newest, int32_t sum)
{
    int8_t *row = rows->state;
    const int8_t *weights = rows->weights;

    for (; (memory & 3) != 0; memory--) {
        const int8_t value = memory > 1 ? row[1] : (int8_t)newest;

        *row++ = value;
        sum = wrapping_add(sum, value * *weights++);
    }
    if (memory != 0) {
        uint32_t last;

        for (; memory != 4; memory -= 4) {
            const uint32_t values = dsp_load32(row + 1);

            dsp_store32(row, values);
            sum = add_products_s8(values, dsp_load32(weights), sum);
            row += 4;
            weights += 4;
        }
        last = dsp_load32(row) >> 8 | (uint32_t)newest << 24;
        dsp_store32(row, last);
        sum = add_products_s8(last, dsp_load32(weights), sum);
        row += 4;
        weights += 4;
    }
    *rows = (rows_s8_t){row, weights};
    return sum;
}

/* The same with values of 16 bits, whose sums wrap where the reference's do. */
static int32_t move_row_s16(rows_s16_t *rows, int32_t memory, int32_t newest, int32_t sum)
{
    int16_t *row = rows->state;
    const int16_t *weights = rows->weights;

    if ((memory & 1) != 0) {
        const int16_t value = memory > 1 ? row[1] : (int16_t)newest;

        *row++ = value;
        sum = wrapping_add(sum, value * *weights++);
        memory--;
    }
    if (memory != 0) {
        uint32_t last;

        for (; memory != 2; memory -= 2) {
            const uint32_t values = dsp_load32(row + 1);

            dsp_store32(row, values);
            sum = dsp_smlad(values, dsp_load32(weights), sum);
            row += 2;
            weights += 2;
        }
        last = dsp_load32(row) >> 16 | (uint32_t)newest << 16;
        dsp_store32(row, last);
        sum = dsp_smlad(last, dsp_load32(weights), sum);
        row += 2;
        weights += 2;
    }
    *rows = (rows_s16_t){row, weights};
    return sum;
}

/* What all filters see in the input of one batch, in steps of the state. */
static const int16_t *find_features(const flota_nn_dsp_svdf_t *svdf, const int8_t *input, uint8_t *scratch)
{
    int16_t *const features = (int16_t *)(void *)scratch;
    uint32_t *const words = (uint32_t *)(void *)scratch;
    const int32_t room = quads_round_up(svdf->units * svdf->rank);

    for (int32_t i = 0; i < room / 2; i++) {
        words[i] = 0;
    }
    svdf->multiply(&svdf->features, quads_of(input, svdf->in_features, (int8_t *)(features + room)), features);
    return features;
}

static int8_t finish(const flota_nn_dsp_svdf_t *svdf, int32_t sum)
{
    return dsp_finish8(sum, svdf->multiplier, svdf->shift, svdf->output_zero, svdf->small_sums);
}

void flota_nn_dsp_svdf_s8_s16(const flota_nn_dsp_svdf_t *svdf, const int8_t *input, int16_t *state, int8_t *output,
                              uint8_t *scratch)
{
    rows_s16_t rows = {state, NULL};

    for (int32_t batch = 0; batch < svdf->batches; batch++) {
        const int16_t *feature = find_features(svdf, input + batch * svdf->in_features, scratch);

        rows.weights = svdf->time_weights;
        for (int32_t unit = 0; unit < svdf->units; unit++) {
            int32_t sum = svdf->bias[unit];

            for (int32_t i = svdf->rank; i != 0; i--) {
                sum = move_row_s16(&rows, svdf->memory, *feature++, sum);
            }
            *output++ = finish(svdf, sum);
        }
    }
}

void flota_nn_dsp_svdf_s8_s8(const flota_nn_dsp_svdf_t *svdf, const int8_t *input, int8_t *state, int8_t *output,
                             uint8_t *scratch)
{
    rows_s8_t rows = {state, NULL};

    for (int32_t batch = 0; batch < svdf->batches; batch++) {
        const int16_t *feature = find_features(svdf, input + batch * svdf->in_features, scratch);

        rows.weights = svdf->time_weights;
        for (int32_t unit = 0; unit < svdf->units; unit++) {
            int32_t sum = svdf->bias[unit];

            for (int32_t i = svdf->rank; i != 0; i--) {
                /* The reference saturates first and lets the zero point wrap. */
                const int8_t newest = (int8_t)(uint8_t)(dsp_ssat8(*feature++) + svdf->state_zero);

                sum = move_row_s8(&rows, svdf->memory, newest, sum);
            }
            *output++ = finish(svdf, sum);
        }
    }
}
