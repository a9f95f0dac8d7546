/* 3x3 depthwise convolution; see depthwise3.h.
 *
 * Two outputs of eight channels at a time, which share the loads of the weights: r0 r1 r2 rows, r3 weights, r4
 * factors, r5 output, r6 bytes from output to output, r7 offset, r9 whether there is one more, r10 r11
 * what leads to the next group of channels, r12 groups. q0 q1 are the sums of the
 * even and odd channels of the first output, q2 q3 of the second; q6 and q7 hold the sums of two products, which fit 16
 * bits, and q4 q5 what is loaded. In assembly because that takes every vector register there is.
 */
    .syntax unified
    .thumb

    /* The products of one tap, as the first or the second of two. */
    .macro first tap, row, column, step, two
    vldrb.s16 q4, [r3, #(8 * \tap)]
    vldrb.s16 q6, [\row, #(8 * \column)]
    vmul.i16 q6, q6, q4
    .if \two
    vldrb.s16 q7, [\row, #(8 * (\column + \step))]
    vmul.i16 q7, q7, q4
    .endif
    .endm

    .macro second tap, row, column, step, two
    vldrb.s16 q4, [r3, #(8 * \tap)]
    vldrb.s16 q5, [\row, #(8 * \column)]
    vmul.i16 q5, q5, q4
    vadd.i16 q6, q6, q5
    .if \two
    vldrb.s16 q5, [\row, #(8 * (\column + \step))]
    vmul.i16 q5, q5, q4
    vadd.i16 q7, q7, q5
    .endif
    .endm

    .macro widen two
    vmovlb.s16 q5, q6
    vadd.i32 q0, q0, q5
    vmovlt.s16 q6, q6
    vadd.i32 q1, q1, q6
    .if \two
    vmovlb.s16 q5, q7
    vadd.i32 q2, q2, q5
    vmovlt.s16 q7, q7
    vadd.i32 q3, q3, q7
    .endif
    .endm

    /* Rounds as `scaled` in helium.h does, for shifts to the right. */
    .macro round sums, shift
    vshr.s32 q6, \sums, #31
    vadd.i32 \sums, \sums, q6
    vrshl.s32 \sums, \sums, \shift
    .endm

    .macro narrow even, odd
    vqmovnb.s32 \even, \even
    vqmovnt.s32 \even, \odd
    vqadd.s16 \even, \even, r7
    vqmovnb.s16 \even, \even
    vstrb.16 \even, [r5]
    add r5, r5, r6
    .endm

    /* One output, or two. */
    .macro outputs step, two
    vldrw.32 q0, [r4]
    vldrw.32 q1, [r4, #16]
    .if \two
    vmov q2, q0
    vmov q3, q1
    .endif
    first 0, r0, 0, \step, \two
    second 1, r0, 1, \step, \two
    widen \two
    first 2, r0, 2, \step, \two
    second 3, r1, 0, \step, \two
    widen \two
    first 4, r1, 1, \step, \two
    second 5, r1, 2, \step, \two
    widen \two
    first 6, r2, 0, \step, \two
    second 7, r2, 1, \step, \two
    widen \two
    first 8, r2, 2, \step, \two
    widen \two
    vldrw.32 q4, [r4, #32]
    vldrw.32 q5, [r4, #48]
    vqrdmulh.s32 q0, q0, q4
    vqrdmulh.s32 q1, q1, q5
    .if \two
    vqrdmulh.s32 q2, q2, q4
    vqrdmulh.s32 q3, q3, q5
    .endif
    vldrb.s32 q4, [r4, #64]
    vldrb.s32 q5, [r4, #68]
    round q0, q4
    round q1, q5
    narrow q0, q1
    .if \two
    round q2, q4
    round q3, q5
    narrow q2, q3
    .endif
    .endm

    .macro row name, step
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .thumb_func
\name:
    push {r4-r11, lr}
    vpush {d8-d15}
    ldmia r0, {r0-r12}
4:  cmp r8, #0
    beq 2f
    dls lr, r8
1:  outputs \step, 1
    add r0, r0, #(16 * \step)
    add r1, r1, #(16 * \step)
    add r2, r2, #(16 * \step)
    le lr, 1b
2:  cmp r9, #0
    beq 3f
    outputs \step, 0
3:  add r0, r0, r10
    add r1, r1, r10
    add r2, r2, r10
    add r3, r3, #72
    add r4, r4, #72
    add r5, r5, r11
    subs r12, r12, #1
    bne 4b
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size \name, . - \name
    .endm

    row flota_nn_helium_depthwise3_s1, 1
    row flota_nn_helium_depthwise3_s2, 2
