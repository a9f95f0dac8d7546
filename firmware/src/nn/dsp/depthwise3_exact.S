/* flota_nn_dsp_depthwise3_exact_s1 and _s2 of depthwise3.h for Arm cores with the DSP extension: the loops of depthwise3.S
 * with both roundings. depthwise3_exact_host.c is the same in C.
 *
 * Weights are doubled, so sums are; then SMMLAR is the interpreter's rounding high multiplication, and one less before
 * the shift where the sum is negative rounds halves away from zero: see dsp_requantize.
 */
        .syntax unified
        .thumb
        .arch   armv7e-m

        .equ    TURNS, 8                /* FLOTA_NN_DSP_DEPTHWISE3_TURNS; the .irp lists go up to it */
        .equ    COLUMN, 144             /* bytes from column to column of the planes */
        .equ    S1_TURN, 132            /* code bytes of a turn: entries into the middle are computed */
        .equ    S2_TURN, 80

/* The stack frame is a copy of flota_nn_dsp_depthwise3_exact_job_t; ENTRY replaces its number of turns. */
        .equ    ADVANCE, 0
        .equ    REWIND, 4
        .equ    COLUMNS_END, 8
        .equ    SKIP, 12
        .equ    ENTRY, 16
        .equ    BIAS, 20
        .equ    MULTIPLIER, 24
        .equ    ROUNDING, 28
        .equ    SHIFT, 32
        .equ    ROW_STEP, 36
        .equ    IN, 40                  /* first the plane's first column, then r11 of the column at work */
        .equ    OUT, 44
        .equ    FRAME, 48

/* r0 to r5: weights (w0, w1) and (w1, w2) of three columns, twice; r6 to r8: a word of each column; r9, r10: sums;
 * r11: column, less the bytes of the turns that are left out; r12: output. */
        .macro  weights upper, lower, word
        sxtb16  \lower, \word
        sxtb16  \upper, \word, ror #8
        pkhbt   \upper, \upper, \lower, lsl #16
        sadd16  \lower, \lower, \lower
        sadd16  \upper, \upper, \upper
        .endm

        .macro  prologue code_bytes, tail
        push    {r4-r11, lr}
        sub     sp, sp, #FRAME
        mov     lr, r1
        ldm     r0, {r1-r12}
        mov     r0, #\code_bytes
        str     r12, [sp, #OUT]
        adr.w   r12, \tail
        mls     r5, r5, r0, r12
        orr     r5, r5, #1
        stm     sp, {r1-r11}
        ldr     r12, [sp, #OUT]
        ldm     lr, {r6-r8}
        weights r0, r1, r6
        weights r2, r3, r7
        weights r4, r5, r8
        .endm

/* A doubled sum -> int8, with the shift still to come. r11: multiplier; lr is scratch. */
        .macro  multiply sum
        ldr     lr, [sp, #ROUNDING]
        smmlar  lr, \sum, r11, lr
        add     \sum, lr, \sum, asr #31
        .endm

        .macro  next_column column
        ldm     sp, {r6-r8}
        add     r11, r11, r6
        add     r12, r12, r7
        cmp     r11, r8
        bne     \column
        add     sp, sp, #FRAME
        pop     {r4-r11, pc}
        .endm

/* void flota_nn_dsp_depthwise3_exact_s1(job, weights): a turn makes two outputs of a column, one below the other. */
        .section .text.flota_nn_dsp_depthwise3_exact_s1, "ax", %progbits
        .balign 4
        .global flota_nn_dsp_depthwise3_exact_s1
        .type   flota_nn_dsp_depthwise3_exact_s1, %function
        .thumb_func
flota_nn_dsp_depthwise3_exact_s1:
        prologue S1_TURN, s1_tail
        .balign 4
s1_column:
        ldr     r6, [r11]
        ldr     r7, [r11, #COLUMN]
        ldr     r8, [r11, #(2 * COLUMN)]
        ldr     lr, [sp, #SKIP]
        lsrs    lr, lr, #1              /* carry: one output remains after the last turn */
        sub     r11, r11, lr
        str     r11, [sp, #IN]
        ldr     r9, [sp, #BIAS]
        ldr     pc, [sp, #ENTRY]

        .balign 4
s1_turns:
    .irp turn, 0, 1, 2, 3, 4, 5, 6, 7
        smlatb  r10, r6, r0, r9
        smlad   r9, r6, r0, r9
        smlad   r9, r7, r2, r9
        smlatb  r10, r7, r2, r10
        smlad   r9, r8, r4, r9
        smlatb  r10, r8, r4, r10
        ldr     r6, [r11, #(4 * \turn + 4)]
        ldr     r7, [r11, #(4 * \turn + 4 + COLUMN)]
        ldr     r8, [r11, #(4 * \turn + 4 + 2 * COLUMN)]
        ldr     r11, [sp, #MULTIPLIER]
        smlabt  r9, r6, r1, r9
        smlad   r10, r6, r1, r10
        smlabt  r9, r7, r3, r9
        smlad   r10, r7, r3, r10
        smlabt  r9, r8, r5, r9
        smlad   r10, r8, r5, r10
        multiply r9
        multiply r10
        ldr     lr, [sp, #SHIFT]
        ldr     r11, [sp, #IN]
        asr.w   r9, r9, lr
        asr.w   r10, r10, lr
        ldr     lr, [sp, #ROW_STEP]
        ssat    r9, #8, r9
        ssat    r10, #8, r10
        strb    r9, [r12]
        ldr     r9, [sp, #BIAS]
        strb    r10, [r12, lr]          /* one cycle only because it follows a load */
        add     r12, r12, lr, lsl #1
    .endr
        .org    s1_turns + TURNS * S1_TURN
s1_tail:
        bcc     1f
        smlad   r9, r6, r0, r9
        smlad   r9, r7, r2, r9
        smlad   r9, r8, r4, r9
        ldr     r6, [r11, #(4 * TURNS + 4)]
        ldr     r7, [r11, #(4 * TURNS + 4 + COLUMN)]
        ldr     r8, [r11, #(4 * TURNS + 4 + 2 * COLUMN)]
        ldr     r11, [sp, #MULTIPLIER]
        smlabt  r9, r6, r1, r9
        smlabt  r9, r7, r3, r9
        smlabt  r9, r8, r5, r9
        multiply r9
        ldr     lr, [sp, #SHIFT]
        ldr     r11, [sp, #IN]
        asr.w   r9, r9, lr
        ssat    r9, #8, r9
        strb    r9, [r12]
1:
        next_column s1_column
        .size   flota_nn_dsp_depthwise3_exact_s1, . - flota_nn_dsp_depthwise3_exact_s1

/* void flota_nn_dsp_depthwise3_exact_s2(job, weights): a turn makes one output of a column. r10: row step. */
        .section .text.flota_nn_dsp_depthwise3_exact_s2, "ax", %progbits
        .balign 4
        .global flota_nn_dsp_depthwise3_exact_s2
        .type   flota_nn_dsp_depthwise3_exact_s2, %function
        .thumb_func
flota_nn_dsp_depthwise3_exact_s2:
        prologue S2_TURN, s2_tail
        ldr     r10, [sp, #ROW_STEP]
        .balign 4
s2_column:
        ldr     r6, [r11]
        ldr     r7, [r11, #COLUMN]
        ldr     r8, [r11, #(2 * COLUMN)]
        ldr     lr, [sp, #SKIP]
        sub     r11, r11, lr, lsr #1
        str     r11, [sp, #IN]
        ldr     r9, [sp, #BIAS]
        ldr     pc, [sp, #ENTRY]

        .balign 4
s2_turns:
    .irp turn, 0, 1, 2, 3, 4, 5, 6, 7
        smlad   r9, r6, r0, r9
        smlad   r9, r7, r2, r9
        smlad   r9, r8, r4, r9
        ldr     r6, [r11, #(4 * \turn + 4)]
        ldr     r7, [r11, #(4 * \turn + 4 + COLUMN)]
        ldr     r8, [r11, #(4 * \turn + 4 + 2 * COLUMN)]
        ldr     r11, [sp, #MULTIPLIER]
        smlabt  r9, r6, r1, r9
        smlabt  r9, r7, r3, r9
        smlabt  r9, r8, r5, r9
        multiply r9
        ldr     lr, [sp, #SHIFT]
        ldr     r11, [sp, #IN]
        asr.w   r9, r9, lr
        ssat    r9, #8, r9
        strb    r9, [r12]
        ldr     r9, [sp, #BIAS]
        add.w   r12, r12, r10
    .endr
        .org    s2_turns + TURNS * S2_TURN
s2_tail:
        next_column s2_column
        .size   flota_nn_dsp_depthwise3_exact_s2, . - flota_nn_dsp_depthwise3_exact_s2
