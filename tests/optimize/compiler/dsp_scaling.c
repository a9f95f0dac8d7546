/* Compares the DSP kernels' requantization with the portable one and prints how many values differ: for `count` random
 * sums, then for every sum within 300 of each of the steps of `count / 100,000` random factors. */
#include <stdio.h>
#include <stdlib.h>

#include "dsp/dsp.h"
#include "fixed_point.h"

static uint64_t state = 0x9E3779B97F4A7C15u;

static uint32_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

typedef struct {
    int32_t multiplier, shift, offset; /* shift to the right */
} factor_t;

static factor_t draw_factor(void)
{
    return (factor_t){
        .multiplier = (int32_t)(draw() >> 2 | 0x40000000u),
        .shift = 1 + (int32_t)(draw() % 23u),
        .offset = (int32_t)(draw() % 256u) - 128,
    };
}

static int differs(factor_t f, int32_t sum)
{
    const int32_t rounding = (1 << (f.shift - 1)) + f.offset * (1 << f.shift);
    const int32_t expected = multiply_by_quantized(sum, f.multiplier, -f.shift) + f.offset;

    return dsp_ssat8(dsp_requantize(sum, f.multiplier, f.shift, rounding)) != clamp(expected, -128, 127);
}

/* Sums of every magnitude below 2^30. */
static int32_t draw_sum(void)
{
    const uint32_t bits = draw() % 30u;

    return (int32_t)(draw() << 1) >> (1 + bits);
}

static long near_steps(factor_t f)
{
    long differing = 0;

    for (int32_t step = -129; step <= 129; step++) {
        const double middle = (step + 0.5) * 2147483648.0 / f.multiplier * (double)(1 << f.shift);

        if (middle > -1.0e9 && middle < 1.0e9) {
            for (int32_t i = -300; i <= 300; i++) {
                differing += differs(f, (int32_t)middle + i);
            }
        }
    }
    return differing;
}

int main(int argc, char **argv)
{
    const long count = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    long differing = 0;

    for (long i = 0; i < count; i++) {
        differing += differs(draw_factor(), draw_sum());
    }
    for (long i = 0; i < count / 100000; i++) {
        differing += near_steps(draw_factor());
    }
    printf("%ld\n", differing);
    return 0;
}
