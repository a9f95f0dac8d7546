/* What the Helium kernels share: requantization of vectors, and copying of any number of bytes. */
#ifndef FLOTA_NN_HELIUM_PRIVATE_H
#define FLOTA_NN_HELIUM_PRIVATE_H

#include <arm_mve.h>
#include <stdint.h>

#include "flota/nn_helium.h"

#define BLOCK FLOTA_NN_HELIUM_BLOCK
#define COLUMNS FLOTA_NN_HELIUM_COLUMNS

/* Channels that are summed before they are requantized: what lies on the stack meanwhile. */
#define CHUNK 16

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* x * multiplier * 2^(shift - 31), rounded as multiply_by_quantized does (fixed_point.h).
 *
 * VQRDMULH is high_multiply: it saturates only where both factors are INT32_MIN, and a multiplier never is. VRSHL rounds
 * halves up, rounding_divide away from zero: a negative value is one less before it, which changes halves alone. The
 * product is more than INT32_MIN, so that cannot overflow. */
ALWAYS_INLINE int32x4_t scaled(int32x4_t x, int32x4_t multiplier, int32x4_t shift, int32_t right)
{
    if (right != 0) {
        x = vqrdmulhq_s32(x, multiplier);
        return vrshlq_s32(vaddq_s32(x, vshrq_n_s32(x, 31)), shift);
    }
    x = vqrdmulhq_s32(vshlq_s32(x, vmaxq_s32(shift, vdupq_n_s32(0))), multiplier);
    shift = vminq_s32(shift, vdupq_n_s32(0));
    return vrshlq_s32(vaddq_s32(x, vshrq_n_s32(vandq_s32(x, shift), 31)), shift);
}

ALWAYS_INLINE int32x4_t bounded(int32x4_t x, const flota_nn_helium_requantize_t *q)
{
    x = vaddq_n_s32(x, q->offset);
    return vminq_s32(vmaxq_s32(x, vdupq_n_s32(q->min)), vdupq_n_s32(q->max));
}

/* `n` bytes, none beyond them touched. */
ALWAYS_INLINE void copy_bytes(int8_t *to, const int8_t *from, int32_t n)
{
    for (int32_t i = n / BLOCK; i > 0; i--) {
        vstrbq_s8(to, vldrbq_s8(from));
        to += BLOCK;
        from += BLOCK;
    }
    if (n % BLOCK != 0) {
        const mve_pred16_t rest = vctp8q((uint32_t)n % BLOCK);

        vstrbq_p_s8(to, vldrbq_z_s8(from, rest), rest);
    }
}

ALWAYS_INLINE void fill_bytes(int8_t *to, int32_t value, int32_t n)
{
    const int8x16_t values = vdupq_n_s8((int8_t)value);

    for (; n > 0; n -= BLOCK) {
        vstrbq_p_s8(to, values, vctp8q((uint32_t)n));
        to += BLOCK;
    }
}

/* Sums of `count` channels from `first` on, of `columns` pixels, to outputs; `sums` is [column][CHUNK], `out` the first
 * pixel's channel 0. */
ALWAYS_INLINE void finish(const flota_nn_helium_gemm_t *g, const int32_t *sums, int32_t first, int32_t count,
                          int32_t columns, int32_t right, int8_t *out)
{
    const flota_nn_helium_requantize_t *q = &g->requantize;

    for (int32_t i = 0; i < count; i += 4) {
        const int32x4_t bias = vldrwq_s32(q->bias + first + i);
        const int32x4_t multiplier = vldrwq_s32(q->multiplier + first + i);
        const int32x4_t shift = vldrbq_s32(q->shift + first + i);
        const mve_pred16_t inside = vctp32q((uint32_t)(count - i));

        for (int32_t c = 0; c < columns; c++) {
            const int32x4_t sum = vaddq_s32(vldrwq_s32(sums + c * CHUNK + i), bias);
            const int32x4_t x = bounded(scaled(sum, multiplier, shift, right), q);

            vstrbq_p_s32(out + c * g->channels + first + i, x, inside);
        }
    }
}

#endif
