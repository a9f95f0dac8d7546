#include "helium.h"

/* Sums of a group of channels, from the biases; returns the next weights. Four channels at a time. */
ALWAYS_INLINE const int8_t *group_sums(const int8_t *weights, const int8_t *x, int32_t blocks, const int32_t *bias,
                                       int32_t *sums)
{
    int32_t a, b, c, d;

    __asm__ volatile(".rept 2                            \n"
                     "   ldrd %[a], %[b], [%[bias]], #8  \n"
                     "   ldrd %[c], %[d], [%[bias]], #8  \n"
                     "   dls lr, %[blocks]               \n"
                     "1: vldrb.8 q0, [%[x]], #16         \n"
                     "   vldrb.8 q1, [%[w]], #16         \n"
                     "   vmladava.s8 %[a], q0, q1        \n"
                     "   vldrb.8 q2, [%[w]], #16         \n"
                     "   vmladava.s8 %[b], q0, q2        \n"
                     "   vldrb.8 q1, [%[w]], #16         \n"
                     "   vmladava.s8 %[c], q0, q1        \n"
                     "   vldrb.8 q2, [%[w]], #16         \n"
                     "   vmladava.s8 %[d], q0, q2        \n"
                     "   le lr, 1b                       \n"
                     "   sub %[x], %[x], %[blocks], lsl #4 \n"
                     "   strd %[a], %[b], [%[sums]], #8  \n"
                     "   strd %[c], %[d], [%[sums]], #8  \n"
                     ".endr                              \n"
                     : [w] "+r"(weights), [x] "+r"(x), [bias] "+r"(bias), [sums] "+r"(sums), [a] "=&Te"(a),
                       [b] "=&Te"(b), [c] "=&Te"(c), [d] "=&Te"(d)
                     : [blocks] "r"(blocks)
                     : "lr", "q0", "q1", "q2", "memory");
    return weights;
}

static void product(const flota_nn_helium_gemm_t *g, const int8_t *x, int8_t *out)
{
    const flota_nn_helium_requantize_t *q = &g->requantize;
    const flota_nn_helium_group_t *group = q->groups;
    const int8_t *weights = g->weights;
    int32_t sums[GROUP];

    for (int32_t first = 0; first < g->channels; first += GROUP) {
        const factors_t factors = factors_of(group);

        weights = group_sums(weights, x, g->blocks, group->bias, sums);
        vstrbq_p_s16(out + first, finished(q, &factors, vldrwq_s32(sums), vldrwq_s32(sums + 4)),
                     vctp16q((uint32_t)(g->channels - first)));
        group++;
    }
}

void flota_nn_helium_fully_connected_s8(const flota_nn_helium_fully_connected_t *fc, const int8_t *input,
                                        int8_t *output, int8_t *scratch)
{
    for (int32_t b = 0; b < fc->batches; b++) {
        copy_bytes(scratch, input, fc->in_features);
        product(&fc->gemm, scratch, output);
        input += fc->in_features;
        output += fc->gemm.channels;
    }
}
