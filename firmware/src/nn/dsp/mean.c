#include "../fixed_point.h"
#include "../mean.h"
#include "column_sums.h"
#include "flota/nn_dsp_reduction.h"

static int8_t finish(const flota_nn_mean_t *m, int32_t sum)
{
    const int32_t scaled = multiply_by_quantized(sum, m->multiplier, m->shift);

    return (int8_t)clamp(wrapping_add(scaled, m->output_offset), INT8_MIN, INT8_MAX);
}

static void sums_of_four(const flota_nn_mean_t *m, const int8_t *input, column_sums_t *s)
{
    column_sums_begin(s, m->sum_offset);
    for (int32_t i = 0; i < m->reduced_extent[0]; i++) {
        for (int32_t j = 0; j < m->reduced_extent[1]; j++) {
            const int8_t *row = input + i * m->reduced_stride[0] + j * m->reduced_stride[1];

            column_sums_add(s, row, m->reduced_extent[2], m->reduced_stride[2]);
        }
    }
    column_sums_flush(s);
}

void flota_nn_dsp_mean_s8(const flota_nn_mean_t *mean, const int8_t *input, int8_t *output)
{
    const int32_t count = mean->kept_extent[2];

    for (int32_t i = 0; i < mean->kept_extent[0]; i++) {
        for (int32_t j = 0; j < mean->kept_extent[1]; j++) {
            const int8_t *row = input + i * mean->kept_stride[0] + j * mean->kept_stride[1];
            int32_t k = 0;

            for (; k + 4 <= count; k += 4) {
                column_sums_t s;

                sums_of_four(mean, row + k, &s);
                for (int32_t lane = 0; lane < 4; lane++) {
                    output[k + lane] = finish(mean, s.sum[lane]);
                }
            }
            for (; k < count; k++) {
                output[k] = finish(mean, mean_sum(mean, row + k));
            }
            output += count;
        }
    }
}
