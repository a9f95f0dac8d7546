/* What the Helium kernels share: requantization of vectors, and copying of any number of bytes. */
#ifndef FLOTA_NN_HELIUM_PRIVATE_H
#define FLOTA_NN_HELIUM_PRIVATE_H

#include <arm_mve.h>
#include <stdint.h>

#include "flota/nn_helium.h"

#define BLOCK FLOTA_NN_HELIUM_BLOCK
#define COLUMNS FLOTA_NN_HELIUM_COLUMNS

/* Channels that are requantized together, the even ones of them before the odd ones. */
#define GROUP 8

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* `n` bytes, none beyond them touched; 0 is none. The loop masks the lanes of its last round. In assembly because
 * GCC 12 does not make such loops. */
ALWAYS_INLINE void copy_bytes(int8_t *to, const int8_t *from, int32_t n)
{
    __asm__ volatile("   wlstp.8 lr, %[n], 2f      \n"
                     "1: vldrb.8 q0, [%[from]], #16 \n"
                     "   vstrb.8 q0, [%[to]], #16  \n"
                     "   letp lr, 1b               \n"
                     "2:                           \n"
                     : [to] "+r"(to), [from] "+r"(from)
                     : [n] "r"(n)
                     : "lr", "q0", "memory");
}

ALWAYS_INLINE void fill_bytes(int8_t *to, int32_t value, int32_t n)
{
    __asm__ volatile("   vdup.8 q0, %[value]       \n"
                     "   wlstp.8 lr, %[n], 2f      \n"
                     "1: vstrb.8 q0, [%[to]], #16  \n"
                     "   letp lr, 1b               \n"
                     "2:                           \n"
                     : [to] "+r"(to)
                     : [value] "r"(value), [n] "r"(n)
                     : "lr", "q0", "memory");
}

/* What becomes of the sums of eight channels, held in registers. */
typedef struct {
    int32x4_t even_multiplier, odd_multiplier, even_shift, odd_shift;
} factors_t;

ALWAYS_INLINE factors_t factors_of(const flota_nn_helium_group_t *g)
{
    return (factors_t){vldrwq_s32(g->multiplier), vldrwq_s32(g->multiplier + 4), vldrbq_s32(g->shift),
                       vldrbq_s32(g->shift + 4)};
}

/* x * multiplier * 2^(shift - 31), rounded as multiply_by_quantized does (fixed_point.h).
 *
 * VQRDMULH is high_multiply: it saturates only where both factors are INT32_MIN, and a multiplier never is. VRSHL
 * rounds halves up, rounding_divide away from zero: a negative value that is shifted to the right is one less before it, which
 * changes halves alone. The product is more than INT32_MIN, so that cannot overflow. */
ALWAYS_INLINE int32x4_t scaled(int32x4_t x, int32x4_t multiplier, int32x4_t shift)
{
    const int32x4_t left = vmaxq_s32(shift, vdupq_n_s32(0));
    const int32x4_t right = vminq_s32(shift, vdupq_n_s32(0));

    x = vqrdmulhq_s32(vshlq_s32(x, left), multiplier);
    return vrshlq_s32(vaddq_s32(x, vshrq_n_s32(vandq_s32(x, right), 31)), right);
}

/* Alternating to 16 bits, and the offset added. Saturating before that changes nothing: the bounds are of 8 bits. */
ALWAYS_INLINE int16x8_t narrowed(int32x4_t even, int32x4_t odd, int32_t offset)
{
    const int16x8_t x = vqmovntq_s32(vqmovnbq_s32(vreinterpretq_s16_s32(even), even), odd);

    return vqaddq_n_s16(x, (int16_t)offset);
}

/* Sums of eight channels, biases included, to their outputs in the low bytes. */
ALWAYS_INLINE int16x8_t finished(const flota_nn_helium_requantize_t *q, const factors_t *f, int32x4_t even,
                                 int32x4_t odd)
{
    const int16x8_t x = narrowed(scaled(even, f->even_multiplier, f->even_shift),
                                 scaled(odd, f->odd_multiplier, f->odd_shift), q->offset);

    return vminq_s16(vmaxq_s16(x, vdupq_n_s16((int16_t)q->min)), vdupq_n_s16((int16_t)q->max));
}

#endif
