#include "helium.h"

/* Both inputs of a sum are brought to a common scale with this many bits below the stored step. */
#define SUM_LEFT_SHIFT 20

/* As `scaled`, for a shift that is not positive and the same in all lanes. */
ALWAYS_INLINE int32x4_t scaled_by(int32x4_t x, int32_t multiplier, int32x4_t shift)
{
    x = vqrdmulhq_n_s32(x, multiplier);
    return vrshlq_s32(vaddq_s32(x, vshrq_n_s32(vandq_s32(x, shift), 31)), shift);
}

ALWAYS_INLINE int32x4_t common_scale(const flota_nn_helium_elementwise_t *op, int32_t side, int32x4_t x)
{
    x = vshlq_n_s32(vaddq_n_s32(x, op->input_offset[side]), SUM_LEFT_SHIFT);
    return scaled_by(x, op->input_multiplier[side], vdupq_n_s32(op->input_shift[side]));
}

ALWAYS_INLINE int32x4_t sum_of(const flota_nn_helium_elementwise_t *op, int32x4_t a, int32x4_t b)
{
    return vaddq_s32(common_scale(op, 0, a), common_scale(op, 1, b));
}

ALWAYS_INLINE int32x4_t product_of(const flota_nn_helium_elementwise_t *op, int32x4_t a, int32x4_t b)
{
    return vmulq_s32(vaddq_n_s32(a, op->input_offset[0]), vaddq_n_s32(b, op->input_offset[1]));
}

/* Eight values at a time; `multiplies` is a constant. */
ALWAYS_INLINE void walk(const flota_nn_helium_elementwise_t *op, const int8_t *left, const int8_t *right,
                        int8_t *output, int32_t multiplies)
{
    for (int32_t rest = op->count; rest > 0; rest -= GROUP) {
        const mve_pred16_t inside = vctp16q((uint32_t)rest);
        const int16x8_t a = vldrbq_z_s16(left, inside);
        const int16x8_t b = vldrbq_z_s16(right, inside);
        const int32x4_t a0 = vmovlbq_s16(a), a1 = vmovltq_s16(a), b0 = vmovlbq_s16(b), b1 = vmovltq_s16(b);
        const int32x4_t even = multiplies != 0 ? product_of(op, a0, b0) : sum_of(op, a0, b0);
        const int32x4_t odd = multiplies != 0 ? product_of(op, a1, b1) : sum_of(op, a1, b1);
        const int32x4_t shift = vdupq_n_s32(op->shift);
        const int16x8_t x = narrowed(scaled_by(even, op->multiplier, shift), scaled_by(odd, op->multiplier, shift),
                                     op->offset);

        vstrbq_p_s16(output, vminq_s16(vmaxq_s16(x, vdupq_n_s16((int16_t)op->min)), vdupq_n_s16((int16_t)op->max)),
                     inside);
        left += GROUP;
        right += GROUP;
        output += GROUP;
    }
}

void flota_nn_helium_add_s8(const flota_nn_helium_elementwise_t *op, const int8_t *left, const int8_t *right,
                            int8_t *output)
{
    walk(op, left, right, output, 0);
}

void flota_nn_helium_mul_s8(const flota_nn_helium_elementwise_t *op, const int8_t *left, const int8_t *right,
                            int8_t *output)
{
    walk(op, left, right, output, 1);
}
