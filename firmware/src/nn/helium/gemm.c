#include "gemm.h"

#include "helium.h"

/* Sums of two channels for `columns` pixels, a constant. VMLADAVA adds 16 products to a register. */
ALWAYS_INLINE void pair_sums(const int8_t *weights, const int8_t *panel, int32_t blocks, int32_t columns,
                             int32_t *sums)
{
    const int8_t *x0 = panel;
    const int8_t *x1 = panel + blocks * BLOCK;
    const int8_t *x2 = x1 + blocks * BLOCK;
    int32_t a0 = 0, a1 = 0, b0 = 0, b1 = 0, c0 = 0, c1 = 0;

    for (int32_t i = blocks; i > 0; i--) {
        const int8x16_t w0 = vldrbq_s8(weights);
        const int8x16_t w1 = vldrbq_s8(weights + BLOCK);
        int8x16_t x = vldrbq_s8(x0);

        weights += 2 * BLOCK;
        x0 += BLOCK;
        a0 = vmladavaq_s8(a0, w0, x);
        a1 = vmladavaq_s8(a1, w1, x);
        if (columns > 1) {
            x = vldrbq_s8(x1);
            x1 += BLOCK;
            b0 = vmladavaq_s8(b0, w0, x);
            b1 = vmladavaq_s8(b1, w1, x);
        }
        if (columns > 2) {
            x = vldrbq_s8(x2);
            x2 += BLOCK;
            c0 = vmladavaq_s8(c0, w0, x);
            c1 = vmladavaq_s8(c1, w1, x);
        }
    }
    sums[0] = a0;
    sums[1] = a1;
    sums[CHUNK] = b0;
    sums[CHUNK + 1] = b1;
    sums[2 * CHUNK] = c0;
    sums[2 * CHUNK + 1] = c1;
}

ALWAYS_INLINE void product(const flota_nn_helium_gemm_t *g, const int8_t *panel, int32_t columns, int32_t right,
                           int8_t *out)
{
    const int8_t *weights = g->weights;
    int32_t sums[COLUMNS * CHUNK];

    for (int32_t first = 0; first < g->channels; first += CHUNK) {
        const int32_t rest = g->channels - first;
        const int32_t count = rest < CHUNK ? rest : CHUNK;

        for (int32_t i = 0; i < count; i += 2) {
            pair_sums(weights, panel, g->blocks, columns, sums + i);
            weights += 2 * BLOCK * g->blocks;
        }
        finish(g, sums, first, count, columns, right, out);
    }
}

static void columns_of_1(const flota_nn_helium_gemm_t *g, const int8_t *panel, int8_t *out)
{
    product(g, panel, 1, 0, out);
}

static void columns_of_2(const flota_nn_helium_gemm_t *g, const int8_t *panel, int8_t *out)
{
    product(g, panel, 2, 0, out);
}

static void columns_of_3(const flota_nn_helium_gemm_t *g, const int8_t *panel, int8_t *out)
{
    product(g, panel, 3, 0, out);
}

static void columns_of_3_right(const flota_nn_helium_gemm_t *g, const int8_t *panel, int8_t *out)
{
    product(g, panel, 3, 1, out);
}

void flota_nn_helium_gemm(const flota_nn_helium_gemm_t *gemm, const int8_t *panel, int32_t columns, int8_t *out)
{
    if (columns == 1) {
        columns_of_1(gemm, panel, out);
    } else if (columns == 2) {
        columns_of_2(gemm, panel, out);
    } else if (gemm->requantize.right == 0) {
        columns_of_3(gemm, panel, out);
    } else {
        columns_of_3_right(gemm, panel, out);
    }
}
