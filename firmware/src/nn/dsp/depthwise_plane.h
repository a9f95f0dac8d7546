/* The inner loops of the depthwise convolution that runs down the columns of one channel's plane.
 *
 * The plane: word [column][i] holds rows 2i and 2i + 1 of the column as packed halfwords, borders included. The weights
 * of a column of the window, an odd number 2n - 1 of them from the top: word t is (w[t - 1], w[t]), zero outside, so
 * words 1, 3, 5 ... meet the words of the plane for an output that starts at an even row, words 0, 2, 4 ... for the
 * output below it. Each file depthwise_plane_*.c has the loops for one n and one stride down the columns, and only
 * those that a model needs are linked.
 */
#ifndef FLOTA_NN_DSP_DEPTHWISE_PLANE_H
#define FLOTA_NN_DSP_DEPTHWISE_PLANE_H

#include "dsp.h"
#include "flota/nn_dsp_depthwise.h"

/* Loads a word here and not later: a load after a load takes a cycle less, and GCC would spread them among the
 * multiplications, or make pairs of them (LDRD), which take longer than two in a row. */
#if defined(__ARM_FEATURE_DSP)
#define PLANE_LOAD(to, from)                    \
    do {                                        \
        (to) = (from);                          \
        __asm__ volatile("" : : "r"(to));       \
    } while (0)
#define PLANE_LOADED() __asm__ volatile("")
#else
#define PLANE_LOAD(to, from) ((to) = (from))
#define PLANE_LOADED() ((void)0)
#endif

#define PLANE_INLINE static inline __attribute__((always_inline))

/* One filter of one channel of one image. */
struct flota_nn_dsp_depthwise_plane_job {
    const uint32_t *plane;   /* column 0 of the window of output 0 */
    const uint32_t *weights; /* word 0 of column 0 */
    const uint32_t *weights_end;
    int32_t column_words; /* of the plane */
    int32_t weight_words; /* of a column of the window: 2n */
    int32_t advance;      /* words of the plane from output column to output column */
    int32_t out_rows, out_columns;
    int32_t out_row_step, out_column_step; /* bytes */
    int32_t bias, multiplier;
    int32_t shift, rounding; /* for both roundings; shift 0: one multiplication is exact, and weights come 256 times */
    int8_t *out;
};

typedef struct {
    int32_t sum[4];
} plane_sums_t;

/* Finishes sums that are rounded twice, four in any case. Not inlined: few channels need it. */
void flota_nn_dsp_depthwise_plane_round(const flota_nn_dsp_depthwise_plane_job_t *job, plane_sums_t *sums);

/* Adds a word of the plane, `i` words below the top of the window of the upper of two outputs that lie one below the
 * other, to both. */
PLANE_INLINE void plane_add_pair(int32_t *upper, int32_t *lower, uint32_t x, const uint32_t *w, const int i,
                                 const int n)
{
    if (i >= 0 && i < n) {
        *upper = i == n - 1 ? dsp_smlabt(x, w[2 * n - 2], *upper) : dsp_smlad(x, w[2 * i + 1], *upper);
        *lower = i == 0 ? dsp_smlatb(x, w[1], *lower) : dsp_smlad(x, w[2 * i], *lower);
    }
}

/* The same for one output of those that start at even rows only. */
PLANE_INLINE void plane_add_one(int32_t *sum, uint32_t x, const uint32_t *w, const int i, const int n)
{
    if (i >= 0 && i < n) {
        *sum = dsp_smlad(x, w[2 * i + 1], *sum);
    }
}

/* One word of one column, `i` words below the top of the first window, for `outputs` outputs. */
PLANE_INLINE void plane_add_word(plane_sums_t *s, uint32_t x, const uint32_t *w, const int i, const int n,
                                 const int stride, const int outputs)
{
    if (stride == 1) {
        plane_add_pair(&s->sum[0], &s->sum[1], x, w, i, n);
        if (outputs == 4) {
            plane_add_pair(&s->sum[2], &s->sum[3], x, w, i - 1, n);
        }
    } else {
        plane_add_one(&s->sum[0], x, w, i, n);
        plane_add_one(&s->sum[1], x, w, i - 1, n);
        if (outputs == 4) {
            plane_add_one(&s->sum[2], x, w, i - 2, n);
            plane_add_one(&s->sum[3], x, w, i - 3, n);
        }
    }
}

/* Word `i` of a column and the weights that it is the first to meet. */
PLANE_INLINE void plane_step(plane_sums_t *s, const uint32_t *x, const uint32_t *w, uint32_t *v, const int i,
                             const int n, const int outputs)
{
    if (i < n) {
        const int lowest = i == n - 1 && outputs == 4;
        uint32_t x0, x1 = 0;

        PLANE_LOADED();
        PLANE_LOAD(x0, x[i]);
        PLANE_LOAD(v[2 * i], w[2 * i]);
        if (i < n - 1) {
            PLANE_LOAD(v[2 * i + 1], w[2 * i + 1]);
        }
        if (lowest) {
            PLANE_LOAD(x1, x[i + 1]);
        }
        plane_add_word(s, x0, v, i, n, 1, outputs);
        if (lowest) {
            plane_add_word(s, x1, v, i + 1, n, 1, outputs);
        }
    }
}

/* One column, stride 1, `n` (2 to 5) known: no loop. */
PLANE_INLINE void plane_add_column(plane_sums_t *s, const uint32_t *x, const uint32_t *w, const int n,
                                   const int outputs)
{
    const int lowest = n == 2 && outputs == 4;
    uint32_t v[10] = {0}, x0, x1, x2 = 0;

    PLANE_LOAD(v[1], w[1]);
    PLANE_LOAD(x0, x[0]);
    PLANE_LOAD(x1, x[1]);
    PLANE_LOAD(v[2], w[2]);
    if (n > 2) {
        PLANE_LOAD(v[3], w[3]);
    }
    if (lowest) {
        PLANE_LOAD(x2, x[2]);
    }
    plane_add_word(s, x0, v, 0, n, 1, outputs);
    plane_add_word(s, x1, v, 1, n, 1, outputs);
    if (lowest) {
        plane_add_word(s, x2, v, 2, n, 1, outputs);
    }
    plane_step(s, x, w, v, 2, n, outputs);
    plane_step(s, x, w, v, 3, n, outputs);
    plane_step(s, x, w, v, 4, n, outputs);
}

/* Words `i` to i + 2 of a column of which `words` are needed. */
PLANE_INLINE void plane_step_apart(plane_sums_t *s, const uint32_t *x, const uint32_t *v, const int i, const int n,
                                   const int outputs)
{
    const int words = n + outputs - 1;
    uint32_t x0 = 0, x1 = 0, x2 = 0;

    PLANE_LOADED();
    if (i < words) {
        PLANE_LOAD(x0, x[i]);
    }
    if (i + 1 < words) {
        PLANE_LOAD(x1, x[i + 1]);
    }
    if (i + 2 < words) {
        PLANE_LOAD(x2, x[i + 2]);
    }
    plane_add_word(s, x0, v, i, n, 2, outputs);
    plane_add_word(s, x1, v, i + 1, n, 2, outputs);
    plane_add_word(s, x2, v, i + 2, n, 2, outputs);
}

/* One column, stride 2, `n` (2 to 5) known: no loop. */
PLANE_INLINE void plane_add_column_apart(plane_sums_t *s, const uint32_t *x, const uint32_t *w, const int n,
                                         const int outputs)
{
    uint32_t v[10] = {0}, x0, x1;

    PLANE_LOAD(v[1], w[1]);
    PLANE_LOAD(x0, x[0]);
    PLANE_LOAD(v[3], w[3]);
    PLANE_LOAD(x1, x[1]);
    if (n > 2) {
        PLANE_LOAD(v[5], w[5]);
    }
    if (n > 3) {
        PLANE_LOAD(v[7], w[7]);
    }
    if (n > 4) {
        PLANE_LOAD(v[9], w[9]);
    }
    plane_add_word(s, x0, v, 0, n, 2, outputs);
    plane_add_word(s, x1, v, 1, n, 2, outputs);
    plane_step_apart(s, x, v, 2, n, outputs);
    plane_step_apart(s, x, v, 5, n, outputs);
}

/* One column of any height. Nothing is read that no output needs: it may lie behind the plane. */
PLANE_INLINE void plane_add_long_column(plane_sums_t *s, const uint32_t *x, const uint32_t *w, const uint32_t *w_end,
                                        const int stride, const int outputs)
{
    const int slides = stride == 2 || outputs == 4; /* what is the lower word now is the upper one next */
    uint32_t upper = slides ? *x++ : 0;

    for (; w != w_end; w += 2) {
        const uint32_t odd = w[0], even = w[1];
        const uint32_t lower = *x++;

        if (!slides) {
            s->sum[0] = dsp_smlad(lower, even, s->sum[0]);
            s->sum[1] = dsp_smlad(lower, odd, s->sum[1]);
        } else {
            s->sum[0] = dsp_smlad(upper, even, s->sum[0]);
            s->sum[1] = stride == 1 ? dsp_smlad(upper, odd, s->sum[1]) : dsp_smlad(lower, even, s->sum[1]);
            upper = lower;
        }
        if (outputs == 4) {
            s->sum[2] = dsp_smlad(stride == 1 ? lower : x[0], even, s->sum[2]);
            s->sum[3] = dsp_smlad(stride == 1 ? lower : x[1], stride == 1 ? odd : even, s->sum[3]);
        }
    }
}

/* One column of the window; `n` 0 stands for any height. */
PLANE_INLINE void plane_add(plane_sums_t *s, const uint32_t *x, const uint32_t *w, int32_t weight_words, const int n,
                            const int stride, const int outputs)
{
    if (n == 0) {
        plane_add_long_column(s, x, w, w + weight_words, stride, outputs);
    } else if (stride == 1) {
        plane_add_column(s, x, w, n, outputs);
    } else {
        plane_add_column_apart(s, x, w, n, outputs);
    }
}

/* All columns of the window; `five` of them are taken without a loop. */
PLANE_INLINE plane_sums_t plane_sum(const flota_nn_dsp_depthwise_plane_job_t *job, const uint32_t *x, const int five,
                                    const int n, const int stride, const int outputs)
{
    const uint32_t *w = job->weights;
    const uint32_t *const end = job->weights_end;
    const int32_t column_words = job->column_words;
    const int32_t weight_words = n != 0 ? 2 * n : job->weight_words;
    plane_sums_t s = {{job->bias, job->bias, job->bias, job->bias}};

    if (five) {
        plane_add(&s, x, w, weight_words, n, stride, outputs);
        x += column_words;
        plane_add(&s, x, w + weight_words, weight_words, n, stride, outputs);
        x += column_words;
        plane_add(&s, x, w + 2 * weight_words, weight_words, n, stride, outputs);
        x += column_words;
        plane_add(&s, x, w + 3 * weight_words, weight_words, n, stride, outputs);
        x += column_words;
        plane_add(&s, x, w + 4 * weight_words, weight_words, n, stride, outputs);
        return s;
    }
    do {
        plane_add(&s, x, w, weight_words, n, stride, outputs);
        w += weight_words;
        x += column_words;
    } while (w != end);
    return s;
}

PLANE_INLINE int32_t plane_scale(int32_t sum, int32_t multiplier) { return dsp_ssat8_asr(dsp_smmul(sum, multiplier), 8); }

/* `outputs` (2 or 4) rows of all output columns, of which the last is left out if not `full`. */
PLANE_INLINE void plane_run_rows(const flota_nn_dsp_depthwise_plane_job_t *job, const uint32_t *x, int8_t *out,
                                 int32_t full, const int five, const int n, const int stride, const int outputs)
{
    const int32_t step = job->out_row_step;
    const int32_t last_step = full ? step : 0;

    for (int32_t i = job->out_columns; i != 0; i--) {
        plane_sums_t s = plane_sum(job, x, five, n, stride, outputs);
        int8_t *const before_last = out + (outputs - 2) * step;

        if (job->shift == 0) {
            s.sum[0] = plane_scale(s.sum[0], job->multiplier);
            s.sum[1] = plane_scale(s.sum[1], job->multiplier);
            s.sum[2] = plane_scale(s.sum[2], job->multiplier);
            s.sum[3] = plane_scale(s.sum[3], job->multiplier);
        } else {
            plane_sums_t sums = s; /* a copy, so that the address of the other is never taken */

            flota_nn_dsp_depthwise_plane_round(job, &sums);
            s = sums;
        }
        before_last[last_step] = (int8_t)s.sum[outputs - 1]; /* first, so that the one before may overwrite it */
        *before_last = (int8_t)s.sum[outputs - 2];
        if (outputs == 4) {
            out[step] = (int8_t)s.sum[1];
            *out = (int8_t)s.sum[0];
        }
        out += job->out_column_step;
        x += job->advance;
    }
}

/* `five`: the window has five columns. */
PLANE_INLINE void plane_run(const flota_nn_dsp_depthwise_plane_job_t *job, const int five, const int n,
                            const int stride)
{
    const uint32_t *x = job->plane;
    int8_t *out = job->out;
    int32_t rest = job->out_rows;

    for (; rest > 2; rest -= 4) {
        plane_run_rows(job, x, out, rest > 3, five, n, stride, 4);
        x += 2 * stride;
        out += 4 * job->out_row_step;
    }
    if (rest > 0) {
        plane_run_rows(job, x, out, rest > 1, 0, n, stride, 2);
    }
}

#endif
