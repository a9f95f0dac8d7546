#include "../walk.h"
#include "dsp.h"
#include "flota/nn_dsp_elementwise.h"

/* Inlined with a constant shift, which SSAT has as an immediate. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE int32_t add(const flota_nn_dsp_sum_t *s, int32_t left, int32_t right, const int32_t shift)
{
    const int32_t sum = dsp_smlawb(s->left, (uint32_t)left << 8, s->bias);

    return dsp_ssat8_asr(dsp_smlawb(s->right, (uint32_t)right << 8, sum), shift);
}

/* Four pairs. `high_bytes`: 0xff00ff00, which leaves bytes 1 and 3, or 0 and 2, times 256 as packed halfwords. */
ALWAYS_INLINE uint32_t add_word(const flota_nn_dsp_sum_t *s, uint32_t a, uint32_t b, uint32_t high_bytes,
                                const int32_t shift)
{
    const uint32_t even_a = high_bytes & a << 8, odd_a = high_bytes & a;
    const uint32_t even_b = high_bytes & b << 8, odd_b = high_bytes & b;
    const int32_t sum0 = dsp_smlawb(s->right, even_b, dsp_smlawb(s->left, even_a, s->bias));
    const int32_t sum1 = dsp_smlawb(s->right, odd_b, dsp_smlawb(s->left, odd_a, s->bias));
    const int32_t sum2 = dsp_smlawt(s->right, even_b, dsp_smlawt(s->left, even_a, s->bias));
    const int32_t sum3 = dsp_smlawt(s->right, odd_b, dsp_smlawt(s->left, odd_a, s->bias));
    uint32_t word = (uint32_t)dsp_ssat8_asr(sum0, shift);

    word = dsp_insert_byte(word, (uint32_t)dsp_ssat8_asr(sum1, shift), 8);
    word = dsp_insert_byte(word, (uint32_t)dsp_ssat8_asr(sum2, shift), 16);
    return dsp_insert_byte(word, (uint32_t)dsp_ssat8_asr(sum3, shift), 24);
}

/* The last axis, both operands stepping through it. */
ALWAYS_INLINE void add_rows(const flota_nn_dsp_sum_t *s, const int8_t *a, const int8_t *b, int8_t *out, int32_t count,
                            const int32_t shift)
{
    const int8_t *const words_end = out + (count & ~3);
    const int8_t *const end = out + count;
    const uint32_t high_bytes = dsp_in_register(0xff00ff00u);

    while (out != words_end) {
        const uint32_t left = dsp_load32(a);

        dsp_store32(out, add_word(s, left, dsp_load32(b), high_bytes, shift));
        a += 4;
        b += 4;
        out += 4;
    }
    while (out != end) {
        *out++ = (int8_t)add(s, *a++, *b++, shift);
    }
}

ALWAYS_INLINE void walk_with(const flota_nn_dsp_sum_t *sum, const int8_t *left, const int8_t *right, int8_t *output,
                             const int32_t shift)
{
    const flota_nn_dsp_sum_t s = *sum;
    const int32_t count = s.extent[s.rank - 1];
    const int32_t left_step = s.stride[0][s.rank - 1], right_step = s.stride[1][s.rank - 1];
    int32_t index[FLOTA_NN_MAX_RANK] = {0};

    do {
        const int8_t *a = left + walk_offset(s.rank, sum->stride[0], index);
        const int8_t *b = right + walk_offset(s.rank, sum->stride[1], index);

        if (left_step != 0 && right_step != 0) {
            add_rows(&s, a, b, output, count, shift);
        } else {
            for (int32_t i = 0; i < count; i++) {
                output[i] = (int8_t)add(&s, a[i * left_step], b[i * right_step], shift);
            }
        }
        output += count;
    } while (walk_next(s.rank, sum->extent, index));
}

#define SUM(SHIFT)                                                                                           \
    void flota_nn_dsp_sum_shift##SHIFT##_s8(const flota_nn_dsp_sum_t *sum, const int8_t *left, const int8_t *right, \
                                            int8_t *output)                                                  \
    {                                                                                                        \
        walk_with(sum, left, right, output, SHIFT);                                                          \
    }

SUM(15)
SUM(16)
SUM(17)
SUM(18)
SUM(19)
SUM(20)
SUM(21)
SUM(22)
SUM(23)
