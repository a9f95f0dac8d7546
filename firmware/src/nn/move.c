#include <string.h>

#include "flota/nn.h"
#include "walk.h"

/* One row: `count` runs. Most runs are one element or long; a call of memmove for one byte would cost more than the byte. */
static void move_row(int32_t count, int32_t run, const int8_t *input, int32_t input_stride, int8_t *output,
                     int32_t output_stride)
{
    for (int32_t i = 0; i < count; i++) {
        if (run == 1) {
            *output = *input;
        } else {
            memmove(output, input, (size_t)run);
        }
        if (i + 1 < count) { /* no address is formed outside the tensors */
            input += input_stride;
            output += output_stride;
        }
    }
}

void flota_nn_move(const flota_nn_move_t *move, const void *input, void *output)
{
    const int32_t last = move->rank - 1;
    const int8_t *from = (const int8_t *)input + move->input_offset;
    int8_t *to = (int8_t *)output + move->output_offset;
    int32_t index[FLOTA_NN_MAX_RANK] = {0};

    do {
        move_row(move->extent[last], move->run, from + walk_offset(move->rank, move->input_stride, index),
                 move->input_stride[last], to + walk_offset(move->rank, move->output_stride, index),
                 move->output_stride[last]);
    } while (walk_next(move->rank, move->extent, index));
}

void flota_nn_fill(int32_t bytes, int32_t value, void *output) { memset(output, (int)value, (size_t)bytes); }
