#include "../walk.h"
#include "dsp.h"
#include "flota/nn_dsp_elementwise.h"

/* The stored value of twice a product of centred inputs. */
static inline int32_t finish(const flota_nn_dsp_product_t *p, int32_t twice)
{
    return dsp_ssat8(dsp_smmlar(twice, p->multiplier, p->bias + (twice >> 31)) >> p->shift);
}

static inline int32_t multiply(const flota_nn_dsp_product_t *p, int32_t left, int32_t right)
{
    return finish(p, 2 * (left - p->input_zero[0]) * (right - p->input_zero[1]));
}

/* Four pairs. The zero points as packed halfwords, negated. */
static inline uint32_t multiply_word(const flota_nn_dsp_product_t *p, uint32_t a, uint32_t b, uint32_t left_offset,
                                     uint32_t right_offset)
{
    const uint32_t even_a = dsp_sxtab16(left_offset, a), odd_a = dsp_sxtab16_odd(left_offset, a);
    const uint32_t even = dsp_sxtab16(right_offset, b), odd = dsp_sxtab16_odd(right_offset, b);
    const uint32_t even_b = dsp_sadd16(even, even), odd_b = dsp_sadd16(odd, odd);
    uint32_t word = (uint32_t)finish(p, dsp_smulbb(even_a, even_b));

    word = dsp_insert_byte(word, (uint32_t)finish(p, dsp_smulbb(odd_a, odd_b)), 8);
    word = dsp_insert_byte(word, (uint32_t)finish(p, dsp_smultt(even_a, even_b)), 16);
    return dsp_insert_byte(word, (uint32_t)finish(p, dsp_smultt(odd_a, odd_b)), 24);
}

static void multiply_row(const flota_nn_dsp_product_t *p, const int8_t *a, const int8_t *b, int8_t *out, int32_t count)
{
    const uint32_t left_offset = 0x00010001u * (uint16_t)-p->input_zero[0];
    const uint32_t right_offset = 0x00010001u * (uint16_t)-p->input_zero[1];
    const int8_t *const words_end = out + (count & ~3);
    const int8_t *const end = out + count;

    while (out != words_end) {
        const uint32_t left = dsp_load32(a);

        dsp_store32(out, multiply_word(p, left, dsp_load32(b), left_offset, right_offset));
        a += 4;
        b += 4;
        out += 4;
    }
    while (out != end) {
        *out++ = (int8_t)multiply(p, *a++, *b++);
    }
}

void flota_nn_dsp_product_s8(const flota_nn_dsp_product_t *product, const int8_t *left, const int8_t *right,
                             int8_t *output)
{
    const flota_nn_dsp_product_t p = *product;
    const int32_t count = p.extent[p.rank - 1];
    const int32_t left_step = p.stride[0][p.rank - 1], right_step = p.stride[1][p.rank - 1];
    int32_t index[FLOTA_NN_MAX_RANK] = {0};

    do {
        const int8_t *a = left + walk_offset(p.rank, product->stride[0], index);
        const int8_t *b = right + walk_offset(p.rank, product->stride[1], index);

        if (left_step != 0 && right_step != 0) {
            multiply_row(&p, a, b, output, count);
        } else {
            for (int32_t i = 0; i < count; i++) {
                output[i] = (int8_t)multiply(&p, a[i * left_step], b[i * right_step]);
            }
        }
        output += count;
    } while (walk_next(p.rank, product->extent, index));
}
