/* gemm.h for Arm cores with the DSP extension. gemm_host.c is the same in C.
 *
 * Assembly, because fourteen values are alive in the inner loops: a compiler spills. Loads stand in chains with
 * immediate offsets, which a Cortex-M4 pipelines: n loads take n + 1 cycles.
 */
        .syntax unified
        .thumb
        .arch   armv7e-m

/* flota_nn_dsp_gemm_t begins with the words from WEIGHTS to LAST, then the address of the biases, then the pairs. */
/* The factors of a group. */
        .equ    FACTORS_MULTIPLIER, 0
        .equ    FACTORS_SHIFT, 16

/* Stack frame of all functions. The first five words are loaded at once for each group. */
        .equ    REWIND, 0               /* added to both pointers, so that the first turn ends with the last step */
        .equ    ENTRY, 4                /* where the first turn of the inner loop begins */
        .equ    BIAS, 8                 /* of the current group */
        .equ    INPUT, 12               /* start of the panel or column, rewound */
        .equ    WEIGHTS, 16             /* of the current group */
        .equ    FACTORS, 20             /* of the current group */
        .equ    FACTORS_STRIDE, 24
        .equ    BIAS_END, 28
        .equ    OFFSET, 32
        .equ    LAST, 36
        .equ    INPUT_END, 40
        .equ    OUT0, 44
        .equ    OUT1, 48
        .equ    FRAME, 52

/* sum, doubled -> int8, or another number of bits. r9: multiplier, r10: shift - 1, r11: offset << (shift - 1); lr is
 * scratch. Rounds to nearest in SMMLAR, then halves away from zero in the shift: see dsp_requantize. */
        .macro  requantize sum, bits=8
        add     lr, r11, \sum, asr #31
        smmlar  \sum, \sum, r9, lr
        asr     \sum, \sum, r10
        ssat    \sum, #\bits, \sum, asr #1
        .endm

/* 256 times the sums of a channel -> int8, see exact_scaling.py. */
        .macro  once left, right, multiplier
        smmul   \left, \left, \multiplier
        smmul   \right, \right, \multiplier
        ssat    \left, #8, \left, asr #12
        ssat    \right, #8, \right, asr #12
        .endm

/* Doubled sums of a pair of channels from those of the packed halfwords (odd) and of the low bytes (even). */
        .macro  unpack even, odd
        sub     \odd, \odd, \even
        asr     \odd, \odd, #7
        lsl     \even, \even, #1
        .endm

/* r8: factors of the group; loads what channel `index` needs for `requantize`. r12: offset. */
        .macro  channel index
        ldr     r9, [r8, #(FACTORS_MULTIPLIER + 4 * \index)]
    .if \index == 0
        ldr     r10, [r8, #FACTORS_SHIFT]
        ldr     r12, [sp, #OFFSET]
    .else
        lsr     r10, r10, #8            /* shifts by a register use its low byte only */
    .endif
        lsl     r11, r12, r10
        .endm

/* Stores the used channels of the last group, one byte after the other. r11: how many, 1 to 3. */
        .macro  store_some value, pointer
        strb    \value, [\pointer], #1
        lsr     \value, \value, #8
        cmp     r11, #1
        beq     1f
        strb    \value, [\pointer], #1
        lsr     \value, \value, #8
        cmp     r11, #2
        beq     1f
        strb    \value, [\pointer], #1
1:
        .endm

/* Common prologue: fills the frame. r0: gemm, r1: input. The inner loop is at the next label 2; a turn of it takes
 * `turn_pairs` pairs of 2^`pair_shift` bytes of input and `code_bytes` of code each. */
        .macro  prepare pair_shift, turn_pairs, code_bytes
        ldm     r0, {r4-r11}
        add     r12, sp, #WEIGHTS
        stm     r12, {r4-r9}
        mov     r6, r10                         /* biases */
        rsb     r4, r11, #0
        and     r4, r4, #(\turn_pairs - 1)      /* pairs the first turn leaves out */
        adr.w   r7, 2f + 1                      /* Thumb code */
        mov     r5, #\code_bytes
        mla     r5, r4, r5, r7
        sub     r7, r1, r4, lsl #\pair_shift
        lsl     r4, r4, #3
        rsb     r4, r4, #0
        stm     sp, {r4-r7}
        add     r11, r1, r11, lsl #\pair_shift
        str     r11, [sp, #INPUT_END]
        .endm

/* The sums of a group of the products of four channels by two columns, in r0 to r7 [channel][column]. `drop`: bits of the
 * even channels' biases that are not added here.
 *
 * r8, r9: weights; r10, r11: inputs; r12: panel; lr: weights' address. */
        .macro  multiply_4x2 group, drop=0
        .balign 4
\group\():
        ldm     sp, {r8, r9, r10, r12, lr}
        add     lr, lr, r8
        ldm     r10!, {r0, r2, r4, r6}
        str     r10, [sp, #BIAS]
    .if \drop
        asr     r0, r0, #\drop
        asr     r4, r4, #\drop
    .endif
        mov     r1, r0
        mov     r3, r2
        mov     r5, r4
        mov     r7, r6
        bx      r9

        .balign 4
2:
    .irp step, 0, 1, 2, 3, 4, 5, 6, 7
        ldr.w   r8, [lr, #(8 * \step)]
        ldr.w   r9, [lr, #(8 * \step + 4)]
        ldr.w   r10, [r12, #(8 * \step)]
        ldr.w   r11, [r12, #(8 * \step + 4)]
        smlad   r2, r8, r10, r2
        smlad   r3, r8, r11, r3
        smlad   r6, r9, r10, r6
        smlad   r7, r9, r11, r7
        sxtb16  r8, r8
        sxtb16  r9, r9
        smlad   r0, r8, r10, r0
        smlad   r1, r8, r11, r1
        smlad   r4, r9, r10, r4
        smlad   r5, r9, r11, r5
    .endr
        ldr     r8, [sp, #INPUT_END]
        add     r12, r12, #64
        add     lr, lr, #64
        cmp     r12, r8
        bne     2b

        str     lr, [sp, #WEIGHTS]
        ldr     r8, [sp, #FACTORS]
        .endm

/* r0, r1: the four results of each column. Stores them and goes on with the next group, or returns. */
        .macro  finish_4x2 group
        ldr     r11, [sp, #FACTORS_STRIDE]
        ldr     r12, [sp, #BIAS]
        ldr     lr, [sp, #BIAS_END]
        ldr     r8, [sp, #FACTORS]
        ldr     r9, [sp, #OUT0]
        ldr     r10, [sp, #OUT1]
        add     r8, r8, r11
        cmp     r12, lr
        beq     4f
        str     r0, [r9], #4
        str     r1, [r10], #4
        str     r8, [sp, #FACTORS]
        strd    r9, r10, [sp, #OUT0]
        b       \group
4:
        ldr     r11, [sp, #LAST]
        cmp     r11, #4
        bne     3f
        str     r0, [r9]
        str     r1, [r10]
        add     sp, sp, #FRAME
        pop     {r4-r11, pc}
3:
        store_some r0, r9
        store_some r1, r10
        add     sp, sp, #FRAME
        pop     {r4-r11, pc}
        .endm

/* Begins a function on four channels by two columns: gemm, panel, out0, out1. The inner loop is at the next label 2. */
        .macro  begin_4x2 name
        .section .text.\name, "ax", %progbits
        .balign 4
        .global \name
        .type   \name, %function
        .thumb_func
\name:
        push    {r4-r11, lr}
        sub     sp, sp, #FRAME
        strd    r2, r3, [sp, #OUT0]
        prepare 3, 8, 56
        .endm

/* The interpreter's two roundings. */
        begin_4x2 flota_nn_dsp_gemm_4x2
        multiply_4x2 gemm_4x2_group
        unpack  r0, r2
        unpack  r1, r3
        unpack  r4, r6
        unpack  r5, r7
        channel 0
        requantize r0
        requantize r1
        channel 1
        requantize r2
        requantize r3
        bfi     r0, r2, #8, #8
        bfi     r1, r3, #8, #8
        channel 2
        requantize r4
        requantize r5
        bfi     r0, r4, #16, #8
        bfi     r1, r5, #16, #8
        channel 3
        requantize r6
        requantize r7
        bfi     r0, r6, #24, #8
        bfi     r1, r7, #24, #8
        finish_4x2 gemm_4x2_group
        .size   flota_nn_dsp_gemm_4x2, . - flota_nn_dsp_gemm_4x2

/* One multiplication of sums that are 256 times as large. */
        begin_4x2 flota_nn_dsp_gemm_4x2_once
        multiply_4x2 gemm_4x2_once_group, 8
        ldr     r12, [sp, #BIAS]                /* of the next group */
        ldm     r8, {r8-r11}
        ldrb    lr, [r12, #-16]
        ldrb    r12, [r12, #-8]
        sub     r2, r2, r0
        sub     r3, r3, r1
        sub     r6, r6, r4
        sub     r7, r7, r5
        add     r0, lr, r0, lsl #8
        add     r1, lr, r1, lsl #8
        add     r4, r12, r4, lsl #8
        add     r5, r12, r5, lsl #8
        once    r0, r1, r8
        once    r2, r3, r9
        once    r4, r5, r10
        once    r6, r7, r11
        bfi     r0, r2, #8, #8
        bfi     r1, r3, #8, #8
        bfi     r0, r4, #16, #8
        bfi     r1, r5, #16, #8
        bfi     r0, r6, #24, #8
        bfi     r1, r7, #24, #8
        finish_4x2 gemm_4x2_once_group
        .size   flota_nn_dsp_gemm_4x2_once, . - flota_nn_dsp_gemm_4x2_once

/* The sums of a group of the products of four channels by one column of int8 values, doubled, in r0, r2, r4, r6; r8: its
 * factors. A step takes two pairs, so the code bytes of one pair are half a step's.
 *
 * r1, r3, r5, r7: weights; r8, r9: inputs; r12: column; lr: weights' address. */
        .macro  multiply_4x1 group
        .balign 4
\group\():
        ldm     sp, {r8, r9, r10, r12, lr}
        add     lr, lr, r8
        ldm     r10!, {r0, r2, r4, r6}
        str     r10, [sp, #BIAS]
        bx      r9

        .balign 4
2:
    .irp step, 0, 1, 2, 3
        ldr.w   r1, [lr, #(16 * \step)]
        ldr.w   r3, [lr, #(16 * \step + 4)]
        ldr.w   r5, [lr, #(16 * \step + 8)]
        ldr.w   r7, [lr, #(16 * \step + 12)]
        ldr.w   r8, [r12, #(4 * \step)]
        sxtb16  r9, r8, ror #8
        sxtb16  r8, r8
        smlad   r2, r1, r8, r2
        smlad   r6, r3, r8, r6
        smlad   r2, r5, r9, r2
        smlad   r6, r7, r9, r6
        sxtb16  r1, r1
        sxtb16  r3, r3
        sxtb16  r5, r5
        sxtb16  r7, r7
        smlad   r0, r1, r8, r0
        smlad   r4, r3, r8, r4
        smlad   r0, r5, r9, r0
        smlad   r4, r7, r9, r4
    .endr
        ldr     r8, [sp, #INPUT_END]
        add     r12, r12, #16
        add     lr, lr, #64
        cmp     r12, r8
        bne     2b

        str     lr, [sp, #WEIGHTS]
        ldr     r8, [sp, #FACTORS]
        unpack  r0, r2
        unpack  r4, r6
        .endm

/* Begins a function on four channels by one column: gemm, column, out. The inner loop is at the next label 2. */
        .macro  begin_4x1 name
        .section .text.\name, "ax", %progbits
        .balign 4
        .global \name
        .type   \name, %function
        .thumb_func
\name:
        push    {r4-r11, lr}
        sub     sp, sp, #FRAME
        str     r2, [sp, #OUT0]
        prepare 1, 8, 38
        .endm

/* Results are int8, one after the other. */
        begin_4x1 flota_nn_dsp_gemm_4x1_s8
        multiply_4x1 gemm_4x1_group
        channel 0
        requantize r0
        channel 1
        requantize r2
        bfi     r0, r2, #8, #8
        channel 2
        requantize r4
        bfi     r0, r4, #16, #8
        channel 3
        requantize r6
        bfi     r0, r6, #24, #8

        ldr     r11, [sp, #FACTORS_STRIDE]
        ldr     r12, [sp, #BIAS]
        ldr     lr, [sp, #BIAS_END]
        ldr     r9, [sp, #OUT0]
        cmp     r12, lr
        beq     gemm_4x1_last
        add     r8, r8, r11
        str     r8, [sp, #FACTORS]
        str     r0, [r9], #4
        str     r9, [sp, #OUT0]
        b       gemm_4x1_group

gemm_4x1_last:
        ldr     r11, [sp, #LAST]
        cmp     r11, #4
        bne     3f
        str     r0, [r9]
        add     sp, sp, #FRAME
        pop     {r4-r11, pc}
3:
        store_some r0, r9
        add     sp, sp, #FRAME
        pop     {r4-r11, pc}
        .size   flota_nn_dsp_gemm_4x1_s8, . - flota_nn_dsp_gemm_4x1_s8

/* A channel of a group in which some factor is at least 1/2. r10: its byte of the shifts; `left` comes from the sign. */
        .macro  widen sum, index
        ldr     r9, [r8, #(FACTORS_MULTIPLIER + 4 * \index)]
        lsls    lr, r10, #24
        bmi     4f
        lsl     r11, r12, r10
        requantize \sum, 16
        b       5f
4:
        mvn     lr, r10
        lsl     \sum, \sum, lr
        smmulr  \sum, \sum, r9
        ssat    \sum, #16, \sum
5:
        lsr     r10, r10, #8
        .endm

/* Results are int16, added to what lies there. */
        begin_4x1 flota_nn_dsp_gemm_4x1_s16
        multiply_4x1 gemm_4x1_s16_group
        ldr     r10, [r8, #FACTORS_SHIFT]
        tst     r10, #0x80808080
        bne     gemm_4x1_s16_wide
        channel 0
        requantize r0, 16
        channel 1
        requantize r2, 16
        channel 2
        requantize r4, 16
        channel 3
        requantize r6, 16
gemm_4x1_s16_add:
        pkhbt   r0, r0, r2, lsl #16
        pkhbt   r4, r4, r6, lsl #16
        ldr     r9, [sp, #OUT0]
        ldr     r11, [sp, #FACTORS_STRIDE]
        ldr     r12, [sp, #BIAS]
        ldr     lr, [sp, #BIAS_END]
        ldrd    r2, r3, [r9]
        add     r8, r8, r11
        qadd16  r0, r0, r2
        qadd16  r4, r4, r3
        strd    r0, r4, [r9], #8
        str     r8, [sp, #FACTORS]
        str     r9, [sp, #OUT0]
        cmp     r12, lr
        bne     gemm_4x1_s16_group
        add     sp, sp, #FRAME
        pop     {r4-r11, pc}

gemm_4x1_s16_wide:
        mov     r12, #1
        widen   r0, 0
        widen   r2, 1
        widen   r4, 2
        widen   r6, 3
        b       gemm_4x1_s16_add
        .size   flota_nn_dsp_gemm_4x1_s16, . - flota_nn_dsp_gemm_4x1_s16
