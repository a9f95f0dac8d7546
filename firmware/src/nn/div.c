#include "broadcast.h"
#include "exponential.h"
#include "fixed_point.h"

/* Far outside int8 whatever the zero point. */
#define SATURATED 1024

/* x / divisor, divisor > 0, in steps of the output. Bits that a shift by more than 31 would leave are none. */
static int32_t quotient(const flota_nn_elementwise_t *op, int32_t x, int32_t divisor)
{
    const int32_t zeros = leading_zeros((uint32_t)divisor);
    const int32_t inverse = flota_nn_one_over_one_plus((int32_t)(((uint32_t)divisor << zeros) - 0x80000000u));
    const uint32_t magnitude = (uint32_t)(x < 0 ? ~x : x);
    const int32_t headroom = (magnitude == 0u ? 32 : leading_zeros(magnitude)) - 1;
    const int32_t unscaled = high_multiply(wrapping_shift_left(x, headroom), inverse);
    const int32_t exponent = headroom + 31 - zeros - op->shift;

    return exponent > 31 ? 0 : rounding_divide(high_multiply(unscaled, op->multiplier), exponent);
}

static int8_t divide(const flota_nn_elementwise_t *op, int32_t left, int32_t right)
{
    const int32_t x = left + op->input_offset[0];
    const int32_t divisor = right + op->input_offset[1];
    int32_t scaled;

    if (divisor == 0) {
        scaled = x > 0 ? SATURATED : (x < 0 ? -SATURATED : 0);
    } else {
        scaled = divisor > 0 ? quotient(op, x, divisor) : quotient(op, -x, -divisor);
    }
    return (int8_t)clamp(wrapping_add(scaled, op->output_offset), op->min, op->max);
}

void flota_nn_div_s8(const flota_nn_elementwise_t *op, const int8_t *left, const int8_t *right, int8_t *output)
{
    broadcast_walk(op, left, right, output, divide);
}
