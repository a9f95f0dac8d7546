#include "gemm.h"

#include "helium.h"

static __attribute__((noinline)) void product_any(const flota_nn_helium_gemm_t *g, const int8_t *panel,
                                                  int32_t columns, int8_t *out)
{
    const flota_nn_helium_requantize_t *q = &g->requantize;
    const flota_nn_helium_group_t *group = q->groups;
    const int8_t *weights = g->weights;
    int32_t sums[COLUMNS * GROUP];

    for (int32_t first = 0; first < g->channels; first += GROUP) {
        const factors_t factors = factors_of(group);
        const mve_pred16_t inside = vctp16q((uint32_t)(g->channels - first));
        const int32_t *column = sums;
        int8_t *to = out + first;

        weights = flota_nn_helium_group_sums(weights, panel, g->blocks, group, sums);
        for (int32_t i = columns; i > 0; i--) {
            vstrbq_p_s16(to, finished(q, &factors, vldrwq_s32(column), vldrwq_s32(column + 4)), inside);
            column += GROUP;
            to += g->channels;
        }
        group++;
    }
}

void flota_nn_helium_gemm(const flota_nn_helium_gemm_t *gemm, const int8_t *panel, int32_t columns, int8_t *out)
{
    const flota_nn_helium_requantize_t *q = &gemm->requantize;

    if (q->plain != 0 && columns == COLUMNS && gemm->channels % GROUP == 0) {
        flota_nn_helium_product_plain(gemm->weights, panel, gemm->blocks, q->groups, out, gemm->channels, q->offset);
    } else {
        product_any(gemm, panel, columns, out);
    }
}
