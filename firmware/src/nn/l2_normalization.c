#include "fixed_point.h"
#include "flota/nn.h"

#define OUTPUT_BITS 7 /* the output's scale is 1/128 */

typedef struct {
    int32_t multiplier, shift;
} factor_t;

static int32_t saturating_shift_left(int32_t x, int32_t n)
{
    const int64_t wide = (int64_t)x * ((int64_t)1 << n);

    return (int32_t)(wide > INT32_MAX ? INT32_MAX : (wide < INT32_MIN ? INT32_MIN : wide));
}

/* 1 / sqrt(x) for x >= 0, zero counting as one: five Newton steps of r = 1.5 r - x / 2 * r^3 from r = 1, in Q3. */
static factor_t inverse_square_root(int32_t x)
{
    const int32_t three_halves = (1 << 28) + (1 << 27);
    factor_t factor = {.multiplier = INT32_MAX, .shift = 0};
    int32_t right = 11;
    int32_t root = 1 << 28;
    int32_t half;

    if (x <= 1) {
        return factor;
    }
    for (; x >= 1 << 29; x /= 4) {
        right++;
    }
    for (; x < 1 << 27; x *= 4) {
        right--;
    }
    half = rounding_divide(x >> 1, 1);
    for (int32_t step = 0; step < 5; step++) {
        const int32_t cube = saturating_shift_left(high_multiply(high_multiply(root, root), root), 6);

        root = saturating_shift_left(high_multiply(three_halves, root) - high_multiply(half, cube), 3);
    }
    factor.multiplier = high_multiply(root, 1518500250); /* sqrt(1/2) */
    if (right < 0) {
        factor.multiplier = wrapping_shift_left(factor.multiplier, -right);
        right = 0;
    }
    factor.shift = -right;
    return factor;
}

void flota_nn_l2_normalization_s8(int32_t rows, int32_t depth, int32_t input_offset, const int8_t *input,
                                  int8_t *output)
{
    for (int32_t r = 0; r < rows; r++) {
        int32_t sum = 0;
        factor_t factor;

        for (int32_t i = 0; i < depth; i++) {
            sum += (input[i] + input_offset) * (input[i] + input_offset);
        }
        factor = inverse_square_root(sum);
        for (int32_t i = 0; i < depth; i++) {
            const int32_t x = input[i] + input_offset;

            *output++ = (int8_t)clamp(multiply_by_quantized(x, factor.multiplier, factor.shift + OUTPUT_BITS), INT8_MIN,
                                      INT8_MAX);
        }
        input += depth;
    }
}
