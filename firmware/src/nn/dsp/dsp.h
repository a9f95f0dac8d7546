/* The instructions of the Arm DSP extension (Armv7E-M, Armv8-M with DSP) that the kernels of this folder are built on.
 *
 * On a core that has them each function is one instruction. Everywhere else it is the same arithmetic in plain C, so the
 * kernels also run on a PC, under the sanitizers.
 *
 * "Packed" values hold two signed halfwords: lane 0 in bits 0 to 15, lane 1 in bits 16 to 31.
 */
#ifndef FLOTA_NN_DSP_H
#define FLOTA_NN_DSP_H

#include <stdint.h>
#include <string.h>

#include "../fixed_point.h"

/* Unaligned loads and stores; one LDR or STR on these cores. */
static inline uint32_t dsp_load32(const void *from)
{
    uint32_t word;

    memcpy(&word, from, sizeof word);
    return word;
}

static inline void dsp_store32(void *to, uint32_t word) { memcpy(to, &word, sizeof word); }

#if defined(__ARM_FEATURE_DSP)

#include <arm_acle.h>

static inline int32_t dsp_smlad(uint32_t a, uint32_t b, int32_t sum)
{
    return __smlad((int16x2_t)a, (int16x2_t)b, sum);
}

static inline int32_t dsp_smlabb(uint32_t a, uint32_t b, int32_t sum)
{
    return __smlabb((int32_t)a, (int32_t)b, sum);
}

static inline int32_t dsp_smlabt(uint32_t a, uint32_t b, int32_t sum)
{
    return __smlabt((int32_t)a, (int32_t)b, sum);
}

static inline int32_t dsp_smlatb(uint32_t a, uint32_t b, int32_t sum)
{
    return __smlatb((int32_t)a, (int32_t)b, sum);
}

static inline int32_t dsp_smlatt(uint32_t a, uint32_t b, int32_t sum)
{
    return __smlatt((int32_t)a, (int32_t)b, sum);
}

/* GCC makes these SMULBB and SMULTT. */
static inline int32_t dsp_smulbb(uint32_t a, uint32_t b) { return (int16_t)(uint16_t)a * (int16_t)(uint16_t)b; }

static inline int32_t dsp_smultt(uint32_t a, uint32_t b) { return ((int32_t)a >> 16) * ((int32_t)b >> 16); }

/* Bytes 0 and 2, sign-extended to packed halfwords. */
static inline uint32_t dsp_sxtb16(uint32_t bytes) { return (uint32_t)__sxtb16((int8x4_t)bytes); }

/* Bytes 1 and 3, sign-extended to packed halfwords. GCC has no intrinsic for the rotated form. */
static inline uint32_t dsp_sxtb16_odd(uint32_t bytes)
{
    uint32_t lanes;

    __asm__("sxtb16 %0, %1, ror #8" : "=r"(lanes) : "r"(bytes));
    return lanes;
}

/* Lane 0 of `low`, lane 0 of `high`. */
static inline uint32_t dsp_pack_low(uint32_t low, uint32_t high)
{
    uint32_t lanes;

    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(lanes) : "r"(low), "r"(high));
    return lanes;
}

/* Lane 1 of `low`, lane 1 of `high`. */
static inline uint32_t dsp_pack_high(uint32_t low, uint32_t high)
{
    uint32_t lanes;

    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(lanes) : "r"(high), "r"(low));
    return lanes;
}

/* High word of a * b, rounded to nearest, plus `sum`. */
static inline int32_t dsp_smmlar(int32_t a, int32_t b, int32_t sum)
{
    int32_t result;

    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* High word of a * b, rounded down. */
static inline int32_t dsp_smmul(int32_t a, int32_t b)
{
    int32_t result;

    __asm__("smmul %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

/* The same, rounded to nearest. */
static inline int32_t dsp_smmulr(int32_t a, int32_t b)
{
    int32_t result;

    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

static inline int32_t dsp_ssat8(int32_t x)
{
    int32_t result;

    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
    return result;
}

static inline int32_t dsp_ssat16(int32_t x)
{
    int32_t result;

    __asm__("ssat %0, #16, %1" : "=r"(result) : "r"(x));
    return result;
}

/* `shift` is a constant, 1..31. */
#define dsp_ssat8_asr(x, shift)                                                             \
    __extension__({                                                                         \
        int32_t saturated_;                                                                 \
        __asm__("ssat %0, #8, %1, asr %2" : "=r"(saturated_) : "r"((int32_t)(x)), "n"(shift)); \
        saturated_;                                                                         \
    })

/* (a * lane of b) >> 16, plus `sum`. */
static inline int32_t dsp_smlawb(int32_t a, uint32_t b, int32_t sum) { return __smlawb(a, (int32_t)b, sum); }

static inline int32_t dsp_smlawt(int32_t a, uint32_t b, int32_t sum) { return __smlawt(a, (int32_t)b, sum); }

static inline uint32_t dsp_sadd16(uint32_t a, uint32_t b) { return (uint32_t)__sadd16((int16x2_t)a, (int16x2_t)b); }

static inline uint32_t dsp_ssub16(uint32_t a, uint32_t b) { return (uint32_t)__ssub16((int16x2_t)a, (int16x2_t)b); }

/* The sign-extended bytes 0 and 2, or 1 and 3, of `bytes` added to packed halfwords. */
static inline uint32_t dsp_sxtab16(uint32_t sum, uint32_t bytes)
{
    return (uint32_t)__sxtab16((int16x2_t)sum, (int8x4_t)bytes);
}

static inline uint32_t dsp_sxtab16_odd(uint32_t sum, uint32_t bytes)
{
    uint32_t lanes;

    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(lanes) : "r"(sum), "r"(bytes));
    return lanes;
}

/* `word` with the byte at bit `at` (8, 16 or 24, a constant) replaced by the low byte of `byte`. */
#define dsp_insert_byte(word, byte, at)                                                             \
    __extension__({                                                                                 \
        uint32_t inserted_ = (word);                                                                \
        __asm__("bfi %0, %1, %2, #8" : "+r"(inserted_) : "r"((uint32_t)(byte)), "n"(at));           \
        inserted_;                                                                                  \
    })

/* Keeps a constant in a register, where it can be the operand of a shifted AND. */
static inline uint32_t dsp_in_register(uint32_t constant)
{
    __asm__("" : "+r"(constant));
    return constant;
}

/* A pointer to go on from: after a loop GCC would rather add the whole way to where it started, kept in memory. */
static inline const int8_t *dsp_at(const int8_t *pointer)
{
    __asm__("" : "+r"(pointer));
    return pointer;
}

/* The greater of each of four int8. */
static inline uint32_t dsp_max8(uint32_t a, uint32_t b)
{
    uint32_t greater;

    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(greater) : "r"(a), "r"(b) : "cc");
    return greater;
}

/* Four saturating int8 additions. */
static inline uint32_t dsp_qadd8(uint32_t a, uint32_t b) { return (uint32_t)__qadd8((int8x4_t)a, (int8x4_t)b); }

static inline uint32_t dsp_qsub8(uint32_t a, uint32_t b) { return (uint32_t)__qsub8((int8x4_t)a, (int8x4_t)b); }

#else

static inline int32_t dsp_lane0(uint32_t x) { return (int16_t)(uint16_t)x; }

static inline int32_t dsp_lane1(uint32_t x) { return (int16_t)(uint16_t)(x >> 16); }

static inline uint32_t dsp_lanes(int32_t lane0, int32_t lane1)
{
    return ((uint32_t)lane0 & 0xffffu) | (uint32_t)lane1 << 16;
}

static inline int32_t dsp_smlabb(uint32_t a, uint32_t b, int32_t sum)
{
    return wrapping_add(sum, dsp_lane0(a) * dsp_lane0(b));
}

static inline int32_t dsp_smlabt(uint32_t a, uint32_t b, int32_t sum)
{
    return wrapping_add(sum, dsp_lane0(a) * dsp_lane1(b));
}

static inline int32_t dsp_smlatb(uint32_t a, uint32_t b, int32_t sum)
{
    return wrapping_add(sum, dsp_lane1(a) * dsp_lane0(b));
}

static inline int32_t dsp_smlatt(uint32_t a, uint32_t b, int32_t sum)
{
    return wrapping_add(sum, dsp_lane1(a) * dsp_lane1(b));
}

static inline int32_t dsp_smulbb(uint32_t a, uint32_t b) { return dsp_lane0(a) * dsp_lane0(b); }

static inline int32_t dsp_smultt(uint32_t a, uint32_t b) { return dsp_lane1(a) * dsp_lane1(b); }

static inline int32_t dsp_smlad(uint32_t a, uint32_t b, int32_t sum)
{
    return dsp_smlatt(a, b, dsp_smlabb(a, b, sum));
}

static inline uint32_t dsp_sxtb16(uint32_t bytes)
{
    return dsp_lanes((int8_t)(uint8_t)bytes, (int8_t)(uint8_t)(bytes >> 16));
}

static inline uint32_t dsp_sxtb16_odd(uint32_t bytes) { return dsp_sxtb16(bytes >> 8); }

static inline uint32_t dsp_pack_low(uint32_t low, uint32_t high) { return (low & 0xffffu) | high << 16; }

static inline uint32_t dsp_pack_high(uint32_t low, uint32_t high) { return low >> 16 | (high & 0xffff0000u); }

static inline int32_t dsp_smmlar(int32_t a, int32_t b, int32_t sum)
{
    return wrapping_add(sum, (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32));
}

static inline int32_t dsp_smmul(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b) >> 32); }

static inline int32_t dsp_smmulr(int32_t a, int32_t b) { return dsp_smmlar(a, b, 0); }

static inline int32_t dsp_ssat8(int32_t x) { return clamp(x, -128, 127); }

static inline int32_t dsp_ssat16(int32_t x) { return clamp(x, INT16_MIN, INT16_MAX); }

#define dsp_ssat8_asr(x, shift) dsp_ssat8((x) >> (shift))

static inline uint32_t dsp_insert_byte(uint32_t word, uint32_t byte, int32_t at)
{
    return (word & ~(0xffu << at)) | (byte & 0xffu) << at;
}

static inline uint32_t dsp_in_register(uint32_t constant) { return constant; }

static inline const int8_t *dsp_at(const int8_t *pointer) { return pointer; }

static inline int32_t dsp_smlawb(int32_t a, uint32_t b, int32_t sum)
{
    return wrapping_add(sum, (int32_t)(((int64_t)a * dsp_lane0(b)) >> 16));
}

static inline int32_t dsp_smlawt(int32_t a, uint32_t b, int32_t sum)
{
    return wrapping_add(sum, (int32_t)(((int64_t)a * dsp_lane1(b)) >> 16));
}

static inline uint32_t dsp_sadd16(uint32_t a, uint32_t b)
{
    return dsp_lanes(dsp_lane0(a) + dsp_lane0(b), dsp_lane1(a) + dsp_lane1(b));
}

static inline uint32_t dsp_ssub16(uint32_t a, uint32_t b)
{
    return dsp_lanes(dsp_lane0(a) - dsp_lane0(b), dsp_lane1(a) - dsp_lane1(b));
}

static inline uint32_t dsp_sxtab16(uint32_t sum, uint32_t bytes) { return dsp_sadd16(sum, dsp_sxtb16(bytes)); }

static inline uint32_t dsp_sxtab16_odd(uint32_t sum, uint32_t bytes) { return dsp_sadd16(sum, dsp_sxtb16_odd(bytes)); }

static inline uint32_t dsp_bytes(int32_t b0, int32_t b1, int32_t b2, int32_t b3)
{
    return ((uint32_t)b0 & 0xffu) | ((uint32_t)b1 & 0xffu) << 8 | ((uint32_t)b2 & 0xffu) << 16 | (uint32_t)b3 << 24;
}

static inline int32_t dsp_byte(uint32_t x, int32_t i) { return (int8_t)(uint8_t)(x >> (8 * i)); }

static inline uint32_t dsp_qadd8(uint32_t a, uint32_t b)
{
    return dsp_bytes(dsp_ssat8(dsp_byte(a, 0) + dsp_byte(b, 0)), dsp_ssat8(dsp_byte(a, 1) + dsp_byte(b, 1)),
                     dsp_ssat8(dsp_byte(a, 2) + dsp_byte(b, 2)), dsp_ssat8(dsp_byte(a, 3) + dsp_byte(b, 3)));
}

static inline uint32_t dsp_max8(uint32_t a, uint32_t b)
{
    uint32_t greater = 0;

    for (int32_t i = 0; i < 4; i++) {
        const uint32_t byte = (uint32_t)(dsp_byte(a, i) >= dsp_byte(b, i) ? dsp_byte(a, i) : dsp_byte(b, i));

        greater |= (byte & 0xffu) << (8 * i);
    }
    return greater;
}

static inline uint32_t dsp_qsub8(uint32_t a, uint32_t b)
{
    return dsp_bytes(dsp_ssat8(dsp_byte(a, 0) - dsp_byte(b, 0)), dsp_ssat8(dsp_byte(a, 1) - dsp_byte(b, 1)),
                     dsp_ssat8(dsp_byte(a, 2) - dsp_byte(b, 2)), dsp_ssat8(dsp_byte(a, 3) - dsp_byte(b, 3)));
}

#endif

/* The finished value of a sum, before it is clamped to int8: the double rounding of TensorFlow Lite Micro.
 *
 * `multiplier` is in [2^30, 2^31), `shift` in 1..23 and |sum| < 2^30; `bias` is (1 << (shift - 1)) + (offset << shift)
 * for an int8 `offset`, which leaves it and the product within 32 bits.
 */
static inline int32_t dsp_requantize(int32_t sum, int32_t multiplier, int32_t shift, int32_t bias)
{
    const int32_t twice = (int32_t)((uint32_t)sum << 1);
    const int32_t scaled = dsp_smmlar(twice, multiplier, bias);

    return (scaled + (twice >> 31)) >> shift;
}

/* The stored int8 of a sum of any size; `small`: dsp_requantize takes it. `shift` is to the left, as nn.h has it. */
static inline int8_t dsp_finish8(int32_t sum, int32_t multiplier, int32_t shift, int32_t zero, int32_t small)
{
    if (small != 0) {
        const int32_t bias = (int32_t)((uint32_t)(2 * zero + 1) << (-shift - 1));

        return (int8_t)dsp_ssat8(dsp_requantize(sum, multiplier, -shift, bias));
    }
    return (int8_t)dsp_ssat8(wrapping_add(multiply_by_quantized(sum, multiplier, shift), zero));
}

#endif
