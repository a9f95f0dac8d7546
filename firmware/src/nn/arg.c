#include "flota/nn.h"

/* `sign` is 1 for the largest and -1 for the smallest. */
static inline void pick(int32_t outer, int32_t count, int32_t inner, const int8_t *input, int32_t *output, int32_t sign)
{
    for (int32_t o = 0; o < outer; o++) {
        for (int32_t i = 0; i < inner; i++) {
            int32_t best = 0;

            for (int32_t k = 1; k < count; k++) {
                best = input[k * inner + i] * sign > input[best * inner + i] * sign ? k : best;
            }
            *output++ = best;
        }
        input += count * inner;
    }
}

void flota_nn_arg_max_s8(int32_t outer, int32_t count, int32_t inner, const int8_t *input, int32_t *output)
{
    pick(outer, count, inner, input, output, 1);
}

void flota_nn_arg_min_s8(int32_t outer, int32_t count, int32_t inner, const int8_t *input, int32_t *output)
{
    pick(outer, count, inner, input, output, -1);
}
