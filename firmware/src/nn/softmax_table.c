/* Softmax of so many values that a table of the exponentials is worth its flash: see softmax.c. */
#include "fixed_point.h"
#include "flota/nn.h"
#include "softmax.h"

/* A value that is not negative, divided by 2^n and rounded to nearest; n >= 1. */
static inline uint32_t divide(uint32_t x, int32_t n) { return (x + (1u << (n - 1))) >> n; }

static inline uint32_t exponential(const flota_nn_softmax_table_t *s, int32_t difference)
{
    return difference < s->count ? s->exponentials[difference] : 0u;
}

static int32_t largest(const int8_t *input, int32_t count)
{
    int32_t max = INT8_MIN;

    for (int32_t k = 0; k < count; k++) {
        max = input[k] > max ? input[k] : max;
    }
    return max;
}

static void run_row(const flota_nn_softmax_table_t *s, const int8_t *input, int8_t *output)
{
    const int32_t max = largest(input, s->depth);
    uint32_t sum = 0;

    for (int32_t k = 0; k < s->depth; k++) {
        sum += divide(exponential(s, max - input[k]), SUM_INTEGER_BITS);
    }
    const softmax_total_t total = softmax_total(sum);
    const int32_t exponent = total.magnitude + 31 - 8;

    for (int32_t k = 0; k < s->depth; k++) {
        uint32_t probability = 0;

        if (exponent <= SOFTMAX_MOST_EXPONENT) {
            const int32_t share = high_multiply(total.scale, (int32_t)exponential(s, max - input[k]));

            probability = divide((uint32_t)share, exponent);
        }
        output[k] = (int8_t)((probability > 255u ? 255 : (int32_t)probability) + INT8_MIN);
    }
}

void flota_nn_softmax_table_s8(const flota_nn_softmax_table_t *softmax, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < softmax->rows; i++) {
        run_row(softmax, input, output);
        input += softmax->depth;
        output += softmax->depth;
    }
}
