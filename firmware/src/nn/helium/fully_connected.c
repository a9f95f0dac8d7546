#include "helium.h"

/* Sums of four channels. */
ALWAYS_INLINE void quad_sums(const int8_t *weights, const int8_t *x, int32_t blocks, int32_t *sums)
{
    int32_t a = 0, b = 0, c = 0, d = 0;

    for (int32_t i = blocks; i > 0; i--) {
        const int8x16_t in = vldrbq_s8(x);

        a = vmladavaq_s8(a, vldrbq_s8(weights), in);
        b = vmladavaq_s8(b, vldrbq_s8(weights + BLOCK), in);
        c = vmladavaq_s8(c, vldrbq_s8(weights + 2 * BLOCK), in);
        d = vmladavaq_s8(d, vldrbq_s8(weights + 3 * BLOCK), in);
        weights += 4 * BLOCK;
        x += BLOCK;
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

static void product(const flota_nn_helium_gemm_t *g, const int8_t *x, int8_t *out)
{
    const int8_t *weights = g->weights;
    int32_t sums[CHUNK];

    for (int32_t first = 0; first < g->channels; first += CHUNK) {
        const int32_t rest = g->channels - first;
        const int32_t count = rest < CHUNK ? rest : CHUNK;

        for (int32_t i = 0; i < count; i += 4) {
            quad_sums(weights, x, g->blocks, sums + i);
            weights += 4 * BLOCK * g->blocks;
        }
        finish(g, sums, first, count, 1, 0, out);
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
