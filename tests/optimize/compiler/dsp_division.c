/* Prints how many averages of the DSP pool differ from a division: every sum of every window of up to 255 pixels, and of
 * some larger ones. */
#include "dsp/pool.c"

#include <stdio.h>

static int32_t expected(int32_t sum, int32_t count)
{
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

int main(void)
{
    long differing = 0;

    for (int32_t count = 1; count < 5000; count += count < SMALL_WINDOW ? 1 : 113) {
        const uint32_t inverse = UINT32_MAX / (uint32_t)count + 1u;
        const int32_t small_inverse = ((1 << 28) + count - 1) / count;

        for (int32_t sum = -128 * count; sum <= 127 * count; sum++) {
            differing += count > 1 && divide(sum, count, inverse) != expected(sum, count);
            differing += count <= SMALL_WINDOW && (int32_t)divide_small(16 * sum, small_inverse) != expected(sum, count);
        }
    }
    printf("%ld\n", differing);
    return 0;
}
