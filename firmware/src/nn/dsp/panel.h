/* Columns of int8 inputs as the packed halfwords that flota_nn_dsp_gemm_4x2 multiplies, and what its callers share.
 *
 * A panel has two columns, word by word in turn. Of each run of inputs, four values x become the pairs (x0, x2) and
 * (x1, x3); what is left over becomes (x0, x1) and (x2, nothing).
 */
#ifndef FLOTA_NN_DSP_PANEL_H
#define FLOTA_NN_DSP_PANEL_H

#include <stdint.h>

#include "dsp.h"
#include "gemm.h"

/* Append a run of `count` values to one column of a panel, or one run to each column, and return the new end. */
uint32_t *flota_nn_dsp_panel_append(const int8_t *from, int32_t count, uint32_t *to);
uint32_t *flota_nn_dsp_panel_append_both(const int8_t *left, const int8_t *right, int32_t count, uint32_t *to);

/* Appends `pairs` pairs of one value to one column. */
uint32_t *flota_nn_dsp_panel_fill(int8_t value, int32_t pairs, uint32_t *to);

/* Clamps `count` stored values to a range narrower than int8. */
static inline void clamp_values(const flota_nn_dsp_gemm_t *gemm, int8_t *values, int32_t count)
{
    if (gemm->min == INT8_MIN && gemm->max == INT8_MAX) {
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        values[i] = (int8_t)clamp(values[i], gemm->min, gemm->max);
    }
}

#endif
