#include "gemm.h"

#include "helium.h"

ALWAYS_INLINE void product(const flota_nn_helium_gemm_t *g, const int8_t *panel, int32_t columns, int32_t plain,
                           int8_t *out)
{
    const flota_nn_helium_requantize_t *q = &g->requantize;
    const int8_t *weights = g->weights;
    int32_t sums[COLUMNS * GROUP];

    for (int32_t first = 0; first < g->channels; first += GROUP) {
        const factors_t factors = factors_at(q->multiplier + first, q->shift + first);
        const mve_pred16_t inside = vctp16q((uint32_t)(g->channels - first));
        const int32_t *column = sums;
        int8_t *to = out + first;

        weights = flota_nn_helium_group_sums(weights, panel, g->blocks, q->bias + first, sums);
        for (int32_t i = columns; i > 0; i--) {
            const int16x8_t x = finished(q, &factors, vldrwq_s32(column), vldrwq_s32(column + 4), plain);

            vstrbq_p_s16(to, x, inside);
            column += GROUP;
            to += g->channels;
        }
    }
}

static __attribute__((noinline)) void product_plain(const flota_nn_helium_gemm_t *g, const int8_t *panel,
                                                    int32_t columns, int8_t *out)
{
    product(g, panel, columns, 1, out);
}

static __attribute__((noinline)) void product_bounded(const flota_nn_helium_gemm_t *g, const int8_t *panel,
                                                      int32_t columns, int8_t *out)
{
    product(g, panel, columns, 0, out);
}

void flota_nn_helium_gemm(const flota_nn_helium_gemm_t *gemm, const int8_t *panel, int32_t columns, int8_t *out)
{
    if (gemm->requantize.plain != 0) {
        product_plain(gemm, panel, columns, out);
    } else {
        product_bounded(gemm, panel, columns, out);
    }
}
