#include "helium.h"

/* Four values at a time; the loop masks the lanes of its last round. In assembly because GCC 12 makes no such loops. */
void flota_nn_helium_linear_s8(const flota_nn_helium_linear_t *op, const int8_t *left, const int8_t *right,
                               int8_t *output)
{
    __asm__ volatile("   vdup.32 q3, %[bias]             \n"
                     "   vdup.32 q4, %[min]              \n"
                     "   vdup.32 q5, %[max]              \n"
                     "   wlstp.32 lr, %[count], 2f       \n"
                     "1: vldrb.s32 q0, [%[left]], #4     \n"
                     "   vmov q2, q3                     \n"
                     "   vldrb.s32 q1, [%[right]], #4    \n"
                     "   vmla.s32 q2, q0, %[left_factor] \n"
                     "   vmla.s32 q2, q1, %[right_factor] \n"
                     "   vshl.s32 q2, %[shift]           \n"
                     "   vmax.s32 q2, q2, q4             \n"
                     "   vmin.s32 q2, q2, q5             \n"
                     "   vstrb.32 q2, [%[output]], #4    \n"
                     "   letp lr, 1b                     \n"
                     "2:                                 \n"
                     : [left] "+l"(left), [right] "+l"(right), [output] "+l"(output)
                     : [bias] "r"(op->bias), [min] "r"(op->min), [max] "r"(op->max), [count] "r"(op->count),
                       [left_factor] "r"(op->factor[0]), [right_factor] "r"(op->factor[1]),
                       [shift] "r"(-op->right_shift)
                     : "lr", "q0", "q1", "q2", "q3", "q4", "q5", "memory");
}
