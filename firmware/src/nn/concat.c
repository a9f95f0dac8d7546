#include <string.h>

#include "flota/nn.h"

void flota_nn_concat(int32_t rows, int32_t row_bytes, int32_t output_stride, const int8_t *input, int8_t *output)
{
    for (int32_t r = 0; r < rows; r++) {
        memmove(output, input, (size_t)row_bytes);
        input += row_bytes;
        output += output_stride;
    }
}
