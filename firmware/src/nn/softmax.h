/* What the softmax kernels share. */
#ifndef FLOTA_NN_SOFTMAX_H
#define FLOTA_NN_SOFTMAX_H

#include <stdint.h>

#include "exponential.h"

/* With 512 classes or more all may be so unlikely that they round to zero; the interpreter aborts there. */
#define SOFTMAX_MOST_EXPONENT 31

/* The sum of a row's exponentials. */
typedef struct {
    int32_t scale;     /* 1 over it, scaled to [1/2, 1), Q0 */
    int32_t magnitude; /* its binary digits before the point */
} softmax_total_t;

/* `sum` has SUM_INTEGER_BITS before the point. The row's maximum adds 1 to it, so it is not zero. */
static inline softmax_total_t softmax_total(uint32_t sum)
{
    const int32_t zeros = leading_zeros(sum);
    const int32_t scale = flota_nn_one_over_one_plus((int32_t)((sum << zeros) - 0x80000000u));

    return (softmax_total_t){scale, SUM_INTEGER_BITS - zeros};
}

#endif
