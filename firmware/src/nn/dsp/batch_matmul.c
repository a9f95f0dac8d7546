#include "dsp.h"
#include "flota/nn_dsp_recurrent.h"

/* Both offsets are added while bytes become halfwords, so that what fills up the last quad of a column counts nothing. */
static uint32_t packed_offset(int32_t offset) { return 0x00010001u * (uint16_t)offset; }

static int32_t value_at(const int8_t *from, int32_t step, int32_t at, int32_t left, int32_t offset)
{
    return at < left ? from[at * step] + offset : 0;
}

/* Brings a column of the right matrix into every second word of `to`, quad by quad: entries 0 and 2, entries 1 and 3. */
static void gather_column(const flota_nn_batch_matmul_t *op, const int8_t *from, uint32_t *to)
{
    const uint32_t offset = packed_offset(op->right_offset);
    int32_t left = op->depth;

    for (; op->right_step == 1 && left >= 4; left -= 4) {
        const uint32_t quad = dsp_load32(from);

        to[0] = dsp_sxtab16(offset, quad);
        to[2] = dsp_sxtab16_odd(offset, quad);
        from += 4;
        to += 4;
    }
    for (; left > 0; left -= 4) {
        const int32_t step = op->right_step, zero = op->right_offset;

        to[0] = dsp_pack_low((uint32_t)value_at(from, step, 0, left, zero), (uint32_t)value_at(from, step, 2, left, zero));
        to[2] = dsp_pack_low((uint32_t)value_at(from, step, 1, left, zero), (uint32_t)value_at(from, step, 3, left, zero));
        from += 4 * step;
        to += 4;
    }
}

/* The last entries of a row, less than a quad. */
static uint32_t rest_of_row(const int8_t *row, int32_t count)
{
    uint32_t word = 0;

    for (int32_t i = 0; i < count; i++) {
        word |= (uint32_t)(uint8_t)row[i] << (8 * i);
    }
    return word;
}

static int8_t finish(const flota_nn_dsp_batch_matmul_t *op, int32_t sum)
{
    const flota_nn_batch_matmul_t *const m = &op->matmul;

    return dsp_finish8(sum, m->multiplier, m->shift, m->output_offset, op->small_sums);
}

/* A row times both columns of `panel`: sums in `sum`. */
static inline void multiply_row(const flota_nn_batch_matmul_t *op, const int8_t *row, const uint32_t *panel, int32_t sum[2])
{
    const uint32_t offset = packed_offset(op->left_offset);
    int32_t sum0 = 0, sum1 = 0;

    for (int32_t left = op->depth; left > 0; left -= 4) {
        const uint32_t quad = left >= 4 ? dsp_load32(row) : rest_of_row(row, left);
        const uint32_t even = dsp_sxtab16(offset, quad), odd = dsp_sxtab16_odd(offset, quad);

        sum0 = dsp_smlad(even, panel[0], sum0);
        sum1 = dsp_smlad(even, panel[1], sum1);
        sum0 = dsp_smlad(odd, panel[2], sum0);
        sum1 = dsp_smlad(odd, panel[3], sum1);
        row += 4;
        panel += 4;
    }
    sum[0] = sum0;
    sum[1] = sum1;
}

/* One product of two matrices, two columns at a time; the last of an odd number is computed twice. */
static void multiply(const flota_nn_dsp_batch_matmul_t *op, const int8_t *left, const int8_t *right, int8_t *output,
                     uint32_t *panel)
{
    const flota_nn_batch_matmul_t *const matmul = &op->matmul;

    for (int32_t column = 0; column < matmul->columns; column += 2) {
        const int32_t second = column + 1 < matmul->columns;
        const int8_t *row = left, *from = right + column * matmul->right_column;
        int8_t *out = output + column;

        gather_column(matmul, from, panel);
        gather_column(matmul, from + second * matmul->right_column, panel + 1);
        for (int32_t i = matmul->rows; i != 0; i--) {
            int32_t sum[2];

            multiply_row(matmul, row, panel, sum);
            out[second] = finish(op, sum[1]);
            out[0] = finish(op, sum[0]);
            row += matmul->left_row;
            out += matmul->columns;
        }
    }
}

void flota_nn_dsp_batch_matmul_s8(const flota_nn_dsp_batch_matmul_t *op, const int8_t *left, const int8_t *right,
                                  int8_t *output, uint8_t *scratch)
{
    const flota_nn_batch_matmul_t *const m = &op->matmul;

    for (int32_t a = 0; a < m->batch[0]; a++) {
        for (int32_t b = 0; b < m->batch[1]; b++) {
            for (int32_t c = 0; c < m->batch[2]; c++) {
                multiply(op, left + a * m->left_batch[0] + b * m->left_batch[1] + c * m->left_batch[2],
                         right + a * m->right_batch[0] + b * m->right_batch[1] + c * m->right_batch[2], output,
                         (uint32_t *)(void *)scratch);
                output += m->rows * m->columns;
            }
        }
    }
}
