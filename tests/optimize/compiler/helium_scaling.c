/* A bare program that compares the Helium kernels' requantization with the portable one: the input is (u32 seed, u32
 * count), the output (u32 differences, i32 sum, i32 multiplier, i32 shift of the last one). */
#include "bare.h"
#include "fixed_point.h"
#include "helium/helium.h"

static uint32_t request[2];
static int32_t answer[4];
static uint32_t state;

static uint32_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* Sums of every magnitude, and those around a power of two, where halves and overflows are. */
static int32_t draw_sum(void)
{
    const uint32_t kind = draw() % 4u;
    const uint32_t shift = draw() % 32u;

    if (kind == 0) {
        return (int32_t)(draw() % 2u == 0 ? 0x7FFFFFFFu - draw() % 4u : 0x80000000u + draw() % 4u);
    }
    if (kind == 1) {
        return (int32_t)((1u << shift) - 2u + draw() % 4u);
    }
    return (int32_t)draw() >> shift;
}

static int32_t draw_multiplier(void)
{
    const uint32_t kind = draw() % 8u;

    return kind == 0 ? 0 : (kind == 1 ? 0x40000000 : (kind == 2 ? 0x7FFFFFFF : (int32_t)(draw() >> 2 | 0x40000000u)));
}

static void compare(int32_t lowest, int32_t shifts)
{
    int32_t sums[4], multipliers[4], scales[4], found[4];

    for (int32_t i = 0; i < 4; i++) {
        sums[i] = draw_sum();
        multipliers[i] = draw_multiplier();
        scales[i] = lowest + (int32_t)(draw() % (uint32_t)shifts);
    }
    vstrwq_s32(found, scaled(vldrwq_s32(sums), vldrwq_s32(multipliers), vldrwq_s32(scales)));
    for (int32_t i = 0; i < 4; i++) {
        if (found[i] != multiply_by_quantized(sums[i], multipliers[i], scales[i])) {
            answer[0]++;
            answer[1] = sums[i];
            answer[2] = multipliers[i];
            answer[3] = scales[i];
        }
    }
}

int32_t bare_setup(void) { return 0; }

bare_tensor_t bare_input(uint32_t index) { return (bare_tensor_t){request, index == 0 ? sizeof request : 0}; }

bare_tensor_t bare_output(uint32_t index) { return (bare_tensor_t){answer, index == 0 ? sizeof answer : 0}; }

int32_t bare_invoke(void)
{
    state = request[0];
    answer[0] = 0;
    for (uint32_t i = 0; i < request[1]; i += 8) {
        compare(-31, 31);
        compare(-31, 62);
    }
    return 0;
}
