#include "flota/nn.h"

#define ONE 1024 /* positions and weights count 1/1024 of a pixel */

typedef struct {
    int32_t low, high; /* the two rows or columns */
    int32_t weight;    /* of `high`; outside [0, ONE] before the first pixel, where both are the same */
} place_t;

static place_t place(int32_t position, int32_t scale, int32_t offset, int32_t size)
{
    const int32_t exact = position * scale + offset;
    const int32_t low = exact > 0 ? exact / ONE : 0;
    const int32_t high = (exact + ONE - 1) / ONE;
    const place_t p = {.low = low, .high = high < size ? high : size - 1, .weight = exact - low * ONE};

    return p;
}

/* Divided by ONE^2, halves away from zero. The sum stays below 2^30: no weight exceeds 1.5. */
static int8_t blend(int32_t sum)
{
    const int32_t half = ONE * ONE / 2;

    return (int8_t)((sum > 0 ? sum + half : sum - half) / (ONE * ONE));
}

void flota_nn_resize_bilinear_s8(const flota_nn_resize_bilinear_t *resize, const int8_t *input, int8_t *output)
{
    const int32_t depth = resize->input.channels;
    const int32_t row = resize->input.width * depth;

    for (int32_t b = 0; b < resize->output.batches; b++) {
        for (int32_t oy = 0; oy < resize->output.height; oy++) {
            const place_t y = place(oy, resize->scale_y, resize->offset_y, resize->input.height);
            const int8_t *upper = input + y.low * row;
            const int8_t *lower = input + y.high * row;

            for (int32_t ox = 0; ox < resize->output.width; ox++) {
                const place_t x = place(ox, resize->scale_x, resize->offset_x, resize->input.width);
                const int32_t left = x.low * depth;
                const int32_t right = x.high * depth;

                for (int32_t c = 0; c < depth; c++) {
                    const int32_t at_left = upper[left + c] * (ONE - y.weight) + lower[left + c] * y.weight;
                    const int32_t at_right = upper[right + c] * (ONE - y.weight) + lower[right + c] * y.weight;

                    *output++ = blend(at_left * (ONE - x.weight) + at_right * x.weight);
                }
            }
        }
        input += resize->input.height * row;
    }
}
