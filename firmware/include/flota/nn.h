/* int8 neural-network kernels: what generated model code calls.
 *
 * All kernels are pure functions from their parameters and inputs to their output: no state, no heap, no recursion.
 * Parameters are constants that stay in flash. Results equal those of the TensorFlow Lite Micro reference kernels bit for
 * bit.
 *
 * Units: extents, strides, paddings and offsets count elements. A stored int8 value x stands for the real number
 * scale * (x - zero_point); "input_offset" is -zero_point and "output_offset" is +zero_point. Images are NHWC.
 *
 * Sizes are checked when the model is compiled (optimize/compiler/verify/), not here. Right shifts of negative numbers
 * are taken to be arithmetic, as on every compiler we build with.
 *
 * Overlap: output bytes are written in ascending order, each after the reads it needs. An input may share bytes with the
 * output where every output byte lies before the input bytes still to be read; how far apart they must start for that
 * is computed per call from the order of reads that each kernel documents below (optimize/compiler/kernels.py, lead()).
 * So no pointer here is restrict, and a kernel that reads or writes in another order must say so there.
 */
#ifndef FLOTA_NN_H
#define FLOTA_NN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Axes a strided kernel walks at most. */
#define FLOTA_NN_MAX_RANK 6

typedef struct {
    int32_t batches, height, width, channels;
} flota_nn_image_t;

/* A sliding window. `pad` is what precedes the first row or column; what follows the last is implied by the output. */
typedef struct {
    int32_t height, width;
    int32_t stride_y, stride_x;
    int32_t dilation_y, dilation_x;
    int32_t pad_y, pad_x;
} flota_nn_window_t;

/* int32 sum to int8: sum * multiplier * 2^(shift - 31), rounded, plus offset, clamped to [min, max]. */
typedef struct {
    const int32_t *multiplier; /* one per output channel, or a single one */
    const int8_t *shift;       /* likewise; -31..30, positive is to the left */
    int32_t channel_step;      /* 1: per output channel, 0: a single one */
    int32_t offset;
    int32_t min, max;
} flota_nn_requantize_t;

/* Convolution. Each output channel sees `group_channels` input channels. Every value reads its whole window anew. */
typedef struct {
    flota_nn_image_t input, output;
    flota_nn_window_t window;
    int32_t group_channels;
    int32_t input_offset;
    flota_nn_requantize_t requantize;
    const int8_t *weights; /* [output channel][window y][window x][group channel] */
    const int32_t *bias;   /* [output channel], or NULL */
} flota_nn_conv_t;

void flota_nn_conv_s8(const flota_nn_conv_t *conv, const int8_t *input, int8_t *output);

/* Depthwise convolution: output channel c sees input channel c / (output.channels / input.channels). Every
 * value reads its window in that channel anew. */
typedef struct {
    flota_nn_image_t input, output;
    flota_nn_window_t window;
    int32_t input_offset;
    flota_nn_requantize_t requantize;
    const int8_t *weights; /* [window y][window x][output channel] */
    const int32_t *bias;   /* [output channel], or NULL */
} flota_nn_depthwise_t;

void flota_nn_depthwise_s8(const flota_nn_depthwise_t *conv, const int8_t *input, int8_t *output);

/* Every value reads all features of its batch. */
typedef struct {
    int32_t batches, in_features, out_features;
    int32_t input_offset;
    flota_nn_requantize_t requantize;
    const int8_t *weights; /* [out feature][in feature] */
    const int32_t *bias;   /* [out feature], or NULL */
} flota_nn_fully_connected_t;

void flota_nn_fully_connected_s8(const flota_nn_fully_connected_t *fc, const int8_t *input, int8_t *output);

/* Every value reads its window in its own channel. */
typedef struct {
    flota_nn_image_t input, output;
    flota_nn_window_t window; /* dilation 1 */
    int32_t min, max;         /* clamp of the stored value */
} flota_nn_pool_t;

void flota_nn_average_pool_s8(const flota_nn_pool_t *pool, const int8_t *input, int8_t *output);
void flota_nn_max_pool_s8(const flota_nn_pool_t *pool, const int8_t *input, int8_t *output);

/* Mean: three nested loops over the output, three over what each output sums; unused loops have extent 1. */
typedef struct {
    int32_t kept_extent[3], kept_stride[3];
    int32_t reduced_extent[3], reduced_stride[3];
    int32_t sum_offset; /* -zero_point * number of summed values */
    int32_t multiplier, shift;
    int32_t output_offset;
} flota_nn_mean_t;

void flota_nn_mean_s8(const flota_nn_mean_t *mean, const int8_t *input, int8_t *output);

/* Element-wise operation on two inputs over `rank` axes; a stride of 0 repeats an input along an axis. */
typedef struct {
    int32_t rank;
    int32_t extent[FLOTA_NN_MAX_RANK];
    int32_t stride[2][FLOTA_NN_MAX_RANK];
    int32_t input_offset[2];
    int32_t input_multiplier[2], input_shift[2]; /* unused by mul */
    int32_t multiplier, shift;
    int32_t output_offset;
    int32_t min, max;
} flota_nn_elementwise_t;

void flota_nn_add_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_sub_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_mul_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output);

/* Element-wise (left * factor[0] + right * factor[1] + bias) >> shift, clamped; no sum leaves int32. */
typedef struct {
    int32_t rank;
    int32_t extent[FLOTA_NN_MAX_RANK];
    int32_t stride[2][FLOTA_NN_MAX_RANK]; /* 0 repeats an input along an axis */
    int32_t factor[2];
    int32_t bias, shift;
    int32_t min, max;
} flota_nn_linear_t;

void flota_nn_linear_s8(const flota_nn_linear_t *op, const int8_t *left, const int8_t *right, int8_t *output);

/* Run by run along the last axis: fills up to the run, then moves it as memmove does. */
typedef struct {
    int32_t rank;
    int32_t extent[FLOTA_NN_MAX_RANK]; /* of the input */
    int32_t before[FLOTA_NN_MAX_RANK], after[FLOTA_NN_MAX_RANK];
    int8_t value;
} flota_nn_pad_t;

void flota_nn_pad_s8(const flota_nn_pad_t *pad, const int8_t *input, int8_t *output);

typedef struct {
    int32_t rank;
    int32_t extent[FLOTA_NN_MAX_RANK]; /* of the output, written in order */
    int32_t stride[FLOTA_NN_MAX_RANK]; /* steps through the input */
} flota_nn_transpose_t;

void flota_nn_transpose_s8(const flota_nn_transpose_t *transpose, const int8_t *input, int8_t *output);

/* One input of a concatenation: `rows` runs of `row_bytes` bytes, `output_stride` bytes apart in the output, each
 * moved as memmove does. */
void flota_nn_concat(int32_t rows, int32_t row_bytes, int32_t output_stride, const int8_t *input, int8_t *output);

/* Output scale 1/256, zero point -128 (s16: 1/65536, -32768); at most 4096 classes. A row is read twice, then its values
 * are replaced one by one. */
typedef struct {
    int32_t rows, depth;
    int32_t multiplier, left_shift; /* input steps to Q5.26, beta included */
    int32_t diff_min;               /* differences to the row's maximum below this count as zero probability */
} flota_nn_softmax_t;

void flota_nn_softmax_s8(const flota_nn_softmax_t *softmax, const int8_t *input, int8_t *output);
void flota_nn_softmax_s8_s16(const flota_nn_softmax_t *softmax, const int8_t *input, int16_t *output);

/* The same to int8 with a table: the exponentials of minus so many input steps, Q0, as long as they count. */
typedef struct {
    int32_t rows, depth;
    int32_t count; /* 1..256 */
    const uint32_t *exponentials;
} flota_nn_softmax_table_t;

void flota_nn_softmax_table_s8(const flota_nn_softmax_table_t *softmax, const int8_t *input, int8_t *output);

/* output[i] = table[input[i] + 128], the table having 256 entries. */
void flota_nn_lookup_s8(int32_t count, const int8_t *table, const int8_t *input, int8_t *output);

/* float32 to whole numbers, halves away from zero, saturating; NaN becomes the zero point. */
void flota_nn_quantize_f32_s8(int32_t count, float scale, int32_t zero_point, const float *input, int8_t *output);
void flota_nn_quantize_f32_s16(int32_t count, float scale, int32_t zero_point, const float *input, int16_t *output);
void flota_nn_dequantize_s8_f32(int32_t count, float scale, int32_t zero_point, const int8_t *input, float *output);
void flota_nn_dequantize_u8_f32(int32_t count, float scale, int32_t zero_point, const uint8_t *input, float *output);
void flota_nn_dequantize_s16_f32(int32_t count, float scale, int32_t zero_point, const int16_t *input, float *output);

/* Whole numbers to those of another type: (x + input_offset) * multiplier * 2^(shift - 31), rounded, plus output_offset,
 * saturated. Where the types have 16 and 32 bits, input and output share no byte. */
typedef struct {
    int32_t count;
    int32_t input_offset;
    int32_t multiplier, shift;
    int32_t output_offset;
} flota_nn_rescale_t;

void flota_nn_rescale_s8_s16(const flota_nn_rescale_t *op, const int8_t *input, int16_t *output);
void flota_nn_rescale_s8_s32(const flota_nn_rescale_t *op, const int8_t *input, int32_t *output);
void flota_nn_rescale_s16_s8(const flota_nn_rescale_t *op, const int16_t *input, int8_t *output);
void flota_nn_rescale_s16_s16(const flota_nn_rescale_t *op, const int16_t *input, int16_t *output);
void flota_nn_rescale_s16_s32(const flota_nn_rescale_t *op, const int16_t *input, int32_t *output);
void flota_nn_rescale_s32_s8(const flota_nn_rescale_t *op, const int32_t *input, int8_t *output);
void flota_nn_rescale_s32_s16(const flota_nn_rescale_t *op, const int32_t *input, int16_t *output);

/* Copies `run` bytes for every index over `extent`; strides and offsets count bytes. An input stride may be 0 (repeat)
 * or negative (reverse). */
typedef struct {
    int32_t rank; /* at least 1 */
    int32_t run;
    int32_t extent[FLOTA_NN_MAX_RANK];
    int32_t input_stride[FLOTA_NN_MAX_RANK];
    int32_t output_stride[FLOTA_NN_MAX_RANK];
    int32_t input_offset, output_offset;
} flota_nn_move_t;

void flota_nn_move(const flota_nn_move_t *move, const void *input, void *output);

/* Sets `bytes` bytes to the stored value `value`. */
void flota_nn_fill(int32_t bytes, int32_t value, void *output);

/* Output [outer][i][j] is the run of `run` bytes at input [outer][row[i]][column[j]], moved as memmove does. */
typedef struct {
    int32_t outer, input_rows, input_columns;
    int32_t run;
    int32_t rows, columns; /* of the output */
    const uint16_t *row, *column;
} flota_nn_take_t;

void flota_nn_take(const flota_nn_take_t *take, const void *input, void *output);

/* Output [batch][outer][i] is the run of `run` bytes at input [batch][outer][positions[batch][i]]; a position outside
 * the `count` entries takes the nearest one. Inputs and output share no byte. */
typedef struct {
    int32_t batch, outer, count;
    int32_t picks; /* positions of one batch */
    int32_t run;
} flota_nn_pick_t;

void flota_nn_pick(const flota_nn_pick_t *pick, const void *input, const int32_t *positions, void *output);

/* Transposed convolution: input pixel (y, x) adds its window to the output at (y * stride_y - pad_y, x * stride_x - pad_x).
 * Weights are [output channel][window y][window x][input channel]; dilation 1. */
void flota_nn_transpose_conv_s8(const flota_nn_depthwise_t *conv, const int8_t *input, int8_t *output);

/* Output row y lies at input row (y * scale_y + offset_y) / 1024, columns likewise. */
typedef struct {
    flota_nn_image_t input, output;
    int32_t scale_y, scale_x;
    int32_t offset_y, offset_x;
} flota_nn_resize_bilinear_t;

void flota_nn_resize_bilinear_s8(const flota_nn_resize_bilinear_t *resize, const int8_t *input, int8_t *output);

/* Largest and smallest of two stored values; only rank, extent and stride are read. */
void flota_nn_maximum_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_minimum_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output);

/* x where x >= 0 (by input_multiplier[0], input_shift[0]), else alpha * x (by multiplier, shift). */
void flota_nn_prelu_s8(const flota_nn_elementwise_t *op, const int8_t *input, const int8_t *alpha, int8_t *output);

/* (left - right)^2, both first brought to a common scale with 7 bits below the stored step. */
void flota_nn_squared_difference_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right,
                                    int8_t *output);

/* left / right: the quotient of the stored values by multiplier and shift. x / 0 saturates to the side of x's sign. */
void flota_nn_div_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output);

/* Comparisons, 0 or 1; both inputs are first brought to a common scale by input_multiplier and input_shift. */
void flota_nn_equal_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_not_equal_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_greater_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_greater_equal_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right,
                               int8_t *output);
void flota_nn_less_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_less_equal_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output);

/* 0 or 1; any input but 0 is true. Only rank, extent and stride are read. */
void flota_nn_logical_and_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output);
void flota_nn_logical_or_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output);

/* Elements of `size` bytes, from `yes` where the condition is not 0, else from `no`. */
typedef struct {
    int32_t size;
    int32_t rank;
    int32_t extent[FLOTA_NN_MAX_RANK];
    int32_t stride[3][FLOTA_NN_MAX_RANK]; /* of condition, yes, no, in elements; 0 repeats along an axis */
} flota_nn_select_t;

void flota_nn_select(const flota_nn_select_t *op, const int8_t *condition, const void *yes, const void *no,
                     void *output);

/* Sums of one element of each of several tensors with one scale. */
typedef struct {
    int32_t count, inputs;
    int32_t input_offset;
    int32_t multiplier, shift; /* from 2^-19 of an input's step to the output's */
    int32_t output_offset;
} flota_nn_add_n_t;

void flota_nn_add_n_s8(const flota_nn_add_n_t *op, const int8_t *const *inputs, int8_t *output);
void flota_nn_add_n_f32(int32_t count, int32_t inputs, const float *const *input, float *output);

/* Running sums along the middle axis of [outer][depth][inner], from its end where `reverse`, without the element itself
 * where `exclusive`. One series after the other, every value written in the place it was read from. */
typedef struct {
    int32_t outer, depth, inner;
    int32_t exclusive, reverse;
    int32_t input_offset;
    int32_t multiplier, shift; /* from 2^-19 of an input's step to the output's */
    int32_t output_offset;
} flota_nn_cumsum_t;

void flota_nn_cumsum_s8(const flota_nn_cumsum_t *op, const int8_t *input, int8_t *output);

/* Only the first five members are read. */
void flota_nn_cumsum_f32(const flota_nn_cumsum_t *op, const float *input, float *output);

/* left / right of float32, held between min and max. */
typedef struct {
    int32_t rank;
    int32_t extent[FLOTA_NN_MAX_RANK];
    int32_t stride[2][FLOTA_NN_MAX_RANK]; /* 0 repeats an input along an axis */
    float min, max;
} flota_nn_div_f32_t;

void flota_nn_div_f32(const flota_nn_div_f32_t *op, const float *left, const float *right, float *output);

/* Output scale 1/16, zero point 127; at most 4095 classes. A row is read twice, then its values are replaced one by
 * one. */
typedef struct {
    int32_t rows, depth;
    int32_t multiplier, left_shift;            /* input steps to Q5.26 */
    int32_t reverse_multiplier, reverse_shift; /* Q5.26 to input steps */
    int32_t diff_min;                          /* differences to the row's maximum below this count as zero probability */
} flota_nn_log_softmax_t;

void flota_nn_log_softmax_s8(const flota_nn_log_softmax_t *softmax, const int8_t *input, int8_t *output);

/* The same numbers in another type; what does not fit loses its upper bits. Where none of the types has 8 bits, input
 * and output share no byte. */
void flota_nn_cast_s8_s16(int32_t count, const int8_t *input, int16_t *output);
void flota_nn_cast_s8_s32(int32_t count, const int8_t *input, int32_t *output);
void flota_nn_cast_s8_f32(int32_t count, const int8_t *input, float *output);
void flota_nn_cast_s16_s8(int32_t count, const int16_t *input, int8_t *output);
void flota_nn_cast_s16_s16(int32_t count, const int16_t *input, int16_t *output);
void flota_nn_cast_s16_s32(int32_t count, const int16_t *input, int32_t *output);
void flota_nn_cast_s16_f32(int32_t count, const int16_t *input, float *output);
void flota_nn_cast_s32_s8(int32_t count, const int32_t *input, int8_t *output);
void flota_nn_cast_s32_s16(int32_t count, const int32_t *input, int16_t *output);
void flota_nn_cast_s32_s32(int32_t count, const int32_t *input, int32_t *output);
void flota_nn_cast_s32_f32(int32_t count, const int32_t *input, float *output);

/* Largest or smallest value of each group: loops as in flota_nn_mean_t. */
typedef struct {
    int32_t kept_extent[3], kept_stride[3];
    int32_t reduced_extent[3], reduced_stride[3];
} flota_nn_reduce_t;

void flota_nn_reduce_max_s8(const flota_nn_reduce_t *reduce, const int8_t *input, int8_t *output);
void flota_nn_reduce_min_s8(const flota_nn_reduce_t *reduce, const int8_t *input, int8_t *output);

/* Position along the middle axis of [outer][count][inner] of the first largest or smallest value. */
void flota_nn_arg_max_s8(int32_t outer, int32_t count, int32_t inner, const int8_t *input, int32_t *output);
void flota_nn_arg_min_s8(int32_t outer, int32_t count, int32_t inner, const int8_t *input, int32_t *output);

/* Each row of `depth` values divided by its Euclidean length; output scale 1/128, zero point 0. */
void flota_nn_l2_normalization_s8(int32_t rows, int32_t depth, int32_t input_offset, const int8_t *input,
                                  int8_t *output);

/* Singular value decomposition filter: every filter looks at the input once (feature weights) and at what it saw in the
 * last `memory` invocations (time weights); `rank` filters in a row make one unit. */
typedef struct {
    int32_t batches, in_features, filters, rank, memory;
    int32_t input_offset;
    int32_t feature_multiplier, feature_shift; /* products with the input to steps of the state */
    int32_t state_zero_point;
    int32_t multiplier, shift; /* sums over time to steps of the output */
    int32_t output_offset;
    const int8_t *feature_weights; /* [filter][in feature] */
    const void *time_weights;      /* [filter][memory], of the state's type */
    const int32_t *bias;           /* [unit], or NULL */
} flota_nn_svdf_t;

/* `state`, [batch][filter][memory] with the newest last, is brought up to date. */
void flota_nn_svdf_s8_s16(const flota_nn_svdf_t *svdf, const int8_t *input, int16_t *state, int8_t *output);
void flota_nn_svdf_s8_s8(const flota_nn_svdf_t *svdf, const int8_t *input, int8_t *state, int8_t *output);

/* x * multiplier * 2^(shift - 31) */
typedef struct {
    int32_t multiplier, shift;
} flota_nn_factor_t;

/* The weights of one gate; the factors bring products to Q3.12. */
typedef struct {
    int32_t input_multiplier, input_shift;
    int32_t recurrent_multiplier, recurrent_shift;
    const int8_t *input_weights;     /* [unit][in feature] */
    const int8_t *recurrent_weights; /* [unit][unit] */
    const int32_t *bias;             /* [unit] */
} flota_nn_lstm_gate_t;

/* Long short-term memory over a sequence, the cell state in 16 bits with a scale that is a power of two. */
typedef struct {
    int32_t batches, steps, in_features, units;
    int32_t batch_rows, step_rows; /* rows of the input from one batch, or step, to the next */
    int32_t input_offset;
    int32_t hidden_offset; /* -zero point of the hidden state, which the output shares */
    flota_nn_lstm_gate_t input_gate, forget_gate, cell_gate, output_gate;
    flota_nn_factor_t forget; /* forget gate (Q0.15) times cell, to steps of the cell */
    flota_nn_factor_t update; /* input gate times candidate (both Q0.15), to steps of the cell */
    flota_nn_factor_t output; /* tanh of the cell times output gate (both Q0.15), to steps of the hidden state */
    int32_t cell_multiplier, cell_shift; /* argument of tanh: (cell * multiplier + rounding) >> shift */
    int32_t cell_min, cell_max;          /* bounds of the cell state, within int16 */
} flota_nn_lstm_t;

/* `hidden` and `cell`, [batch][unit], are brought up to date. */
void flota_nn_lstm_s8_s16(const flota_nn_lstm_t *lstm, const int8_t *input, int8_t *hidden, int16_t *cell,
                          int8_t *output);

/* Products of matrices over up to three batch axes. All strides are in elements; those of a batch axis are 0 where an
 * operand is repeated. */
typedef struct {
    int32_t batch[3];
    int32_t left_batch[3], right_batch[3];
    int32_t rows, columns, depth;
    int32_t left_row, left_step;       /* to the next row, to the next element of the sum */
    int32_t right_column, right_step;
    int32_t left_offset, right_offset; /* -zero points */
    int32_t multiplier, shift;
    int32_t output_offset;
} flota_nn_batch_matmul_t;

void flota_nn_batch_matmul_s8(const flota_nn_batch_matmul_t *op, const int8_t *left, const int8_t *right,
                              int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
