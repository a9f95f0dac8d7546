#include <string.h>

#include "flota/nn.h"

void flota_nn_take(const flota_nn_take_t *take, const void *input, void *output)
{
    const int32_t row_bytes = take->input_columns * take->run;
    const int8_t *from = (const int8_t *)input;
    int8_t *to = (int8_t *)output;

    for (int32_t o = 0; o < take->outer; o++) {
        for (int32_t i = 0; i < take->rows; i++) {
            const int8_t *row = from + take->row[i] * row_bytes;

            for (int32_t j = 0; j < take->columns; j++) {
                memmove(to, row + take->column[j] * take->run, (size_t)take->run);
                to += take->run;
            }
        }
        from += take->input_rows * row_bytes;
    }
}
