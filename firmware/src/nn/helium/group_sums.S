/* The inner loop of the matrix product (see gemm.h): two channels by three pixels at a time, four times.
 *
 * VMLADAVA adds 16 products to an even register: r0 r2 of the first pixel, r4 r6 of the second, r8 r10 of the third. The
 * other registers hold the places in weights (r1), pixels (r3 r5 r7), biases (r9) and sums (r11), and the blocks (r12).
 * In assembly because that takes every register there is, which GCC 12 does not find.
 */
    .syntax unified
    .thumb

    .section .text.flota_nn_helium_group_sums, "ax", %progbits
    .global flota_nn_helium_group_sums
    .type flota_nn_helium_group_sums, %function
    .thumb_func
flota_nn_helium_group_sums:
    push {r4-r11, lr}
    ldr r11, [sp, #36]
    mov r9, r3
    mov r12, r2
    mov r3, r1
    mov r1, r0
    add r5, r3, r12, lsl #4
    add r7, r5, r12, lsl #4
    .rept 4
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
    strd r4, r6, [r11, #32]
    strd r8, r10, [r11, #64]
    strd r0, r2, [r11], #8
    .endr
    mov r0, r1
    pop {r4-r11, pc}
    .size flota_nn_helium_group_sums, . - flota_nn_helium_group_sums
