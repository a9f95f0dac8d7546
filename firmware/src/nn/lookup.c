#include "flota/nn.h"

void flota_nn_lookup_s8(int32_t count, const int8_t *table, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = table[input[i] + 128];
    }
}
