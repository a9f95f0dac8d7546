/* The matrix product of the convolutions: two channels by three pixels at a time, four times for a group of channels.
 *
 * VMLADAVA adds 16 products to an even register: r0 r2 of the first pixel, r4 r6 of the second, r8 r10 of the third. r1
 * points to the weights, r3 r5 r7 to the pixels, r9 into the factors; r12 is the number of blocks. In assembly because
 * that takes more registers than GCC 12 has to give.
 */
    .syntax unified
    .thumb

    .equ GROUP, 8
    .equ COLUMN_BYTES, 4 * GROUP

    /* Sums of channels 2 \pair and 2 \pair + 1 as the group orders them, from the biases at r9, to \sums. */
    .macro pair_sums pair, sums
    ldrd r0, r2, [r9], #8
    dls lr, r12
    mov r4, r0
    mov r6, r2
    mov r8, r0
    mov r10, r2
1:  vldrb.8 q0, [r1], #16
    vldrb.8 q1, [r3], #16
    vmladava.s8 r0, q0, q1
    vldrb.8 q2, [r5], #16
    vmladava.s8 r4, q0, q2
    vldrb.8 q3, [r7], #16
    vmladava.s8 r8, q0, q3
    vldrb.8 q0, [r1], #16
    vmladava.s8 r2, q0, q1
    vmladava.s8 r6, q0, q2
    vmladava.s8 r10, q0, q3
    le lr, 1b
    sub r3, r3, r12, lsl #4
    sub r5, r5, r12, lsl #4
    sub r7, r7, r12, lsl #4
    strd r0, r2, [\sums, #(8 * \pair)]
    strd r4, r6, [\sums, #(8 * \pair + COLUMN_BYTES)]
    strd r8, r10, [\sums, #(8 * \pair + 2 * COLUMN_BYTES)]
    .endm

    .macro group_sums sums
    pair_sums 0, \sums
    pair_sums 1, \sums
    pair_sums 2, \sums
    pair_sums 3, \sums
    .endm

    /* r0: weights, r1: panel, r2: blocks, r3: factors -> as above. */
    .macro begin
    mov r9, r3
    mov r12, r2
    mov r3, r1
    mov r1, r0
    add r5, r3, r12, lsl #4
    add r7, r5, r12, lsl #4
    .endm

    .section .text.flota_nn_helium_group_sums, "ax", %progbits
    .global flota_nn_helium_group_sums
    .type flota_nn_helium_group_sums, %function
    .thumb_func
flota_nn_helium_group_sums:
    push {r4-r11, lr}
    ldr r11, [sp, #36]
    begin
    group_sums r11
    mov r0, r1
    pop {r4-r11, pc}
    .size flota_nn_helium_group_sums, . - flota_nn_helium_group_sums

    /* Frame of the product: the sums, then what comes from the arguments. */
    .equ OFFSET, 3 * COLUMN_BYTES
    .equ CHANNELS, OFFSET + 4
    .equ OUT_END, OFFSET + 8
    .equ FRAME, OFFSET + 16

    /* Outputs of one pixel to \out; q4 q5: multipliers, q6 q7: shifts of the even and odd channels, r0: offset. See
     * `finished` in helium.h. */
    .macro finish column, out
    vldrw.32 q0, [sp, #(\column * COLUMN_BYTES)]
    vldrw.32 q1, [sp, #(\column * COLUMN_BYTES + 16)]
    vqrdmulh.s32 q0, q0, q4
    vqrdmulh.s32 q1, q1, q5
    vshr.s32 q2, q0, #31
    vshr.s32 q3, q1, #31
    vadd.i32 q0, q0, q2
    vadd.i32 q1, q1, q3
    vrshl.s32 q0, q0, q6
    vrshl.s32 q1, q1, q7
    vqmovnb.s32 q0, q0
    vqmovnt.s32 q0, q1
    vqadd.s16 q0, q0, r0
    vqmovnb.s16 q0, q0
    vstrb.16 q0, [\out]
    .endm

    /* r0: weights, r1: panel, r2: blocks, r3: factors; stack: output, channels (whole groups), offset. */
    .section .text.flota_nn_helium_product_plain, "ax", %progbits
    .global flota_nn_helium_product_plain
    .type flota_nn_helium_product_plain, %function
    .thumb_func
flota_nn_helium_product_plain:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, sp, #FRAME
    ldrd r11, r4, [sp, #(FRAME + 64 + 36)]
    ldr r5, [sp, #(FRAME + 64 + 44)]
    add r6, r11, r4
    strd r5, r4, [sp, #OFFSET]
    str r6, [sp, #OUT_END]
    begin
2:  group_sums sp
    vldrw.32 q4, [r9], #16
    vldrw.32 q5, [r9], #16
    mov r4, r9
    vldrb.s32 q6, [r4]
    vldrb.s32 q7, [r4, #4]
    add r9, r9, #GROUP
    ldrd r0, r2, [sp, #OFFSET]
    ldr r6, [sp, #OUT_END]
    mov r4, r11
    finish 0, r4
    add r4, r4, r2
    finish 1, r4
    add r4, r4, r2
    finish 2, r4
    add r11, r11, #GROUP
    cmp r11, r6
    bne 2b
    add sp, sp, #FRAME
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size flota_nn_helium_product_plain, . - flota_nn_helium_product_plain
