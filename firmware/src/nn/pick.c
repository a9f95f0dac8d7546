#include <string.h>

#include "fixed_point.h"
#include "flota/nn.h"

void flota_nn_pick(const flota_nn_pick_t *pick, const void *input, const int32_t *positions, void *output)
{
    const int8_t *line = (const int8_t *)input;
    int8_t *target = (int8_t *)output;

    for (int32_t b = 0; b < pick->batch; b++, positions += pick->picks) {
        for (int32_t o = 0; o < pick->outer; o++, line += pick->count * pick->run) {
            for (int32_t i = 0; i < pick->picks; i++, target += pick->run) {
                memcpy(target, line + clamp(positions[i], 0, pick->count - 1) * pick->run, (size_t)pick->run);
            }
        }
    }
}
