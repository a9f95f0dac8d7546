/* depthwise3.h for Arm cores with the DSP extension. depthwise3_host.c is the same in C.
 *
 * Assembly, because every register is in use in the inner loop. A turn of it takes one word of each of three columns
 * and keeps the three words before; all turns of a column are unrolled, so that addresses are immediate offsets, and a
 * shorter column enters in their middle.
 */
        .syntax unified
        .thumb
        .arch   armv7e-m

        .equ    TURNS, 8                /* FLOTA_NN_DSP_DEPTHWISE3_TURNS; the .irp lists go up to it */
        .equ    COLUMN, 144             /* bytes from column to column of the planes */
        .equ    CHANNEL, 36             /* bytes from channel to channel within a column */

/* The stack frame is a copy of flota_nn_dsp_depthwise3_job_t; ENTRY replaces its number of turns. */
        .equ    REWIND, 0
        .equ    ADVANCE, 4
        .equ    COLUMNS_END, 8
        .equ    SKIP, 12
        .equ    ENTRY, 16
        .equ    BIAS, 20
        .equ    MULTIPLIER, 24
        .equ    ROW_STEP, 28
        .equ    CHANNELS, 32
        .equ    CHANNELS_END, 36
        .equ    BIAS_TOP, 40
        .equ    PLANE, 44
        .equ    OUT, 48
        .equ    FRAME, 56               /* a multiple of 8, with what no register held at first */

/* Code bytes of a turn: entries into the middle are computed. */
        .equ    S1_TURN, 100
        .equ    S2_TURN, 52

/* r0 to r5: weights (w0, w1) and (w1, w2) of three columns, times 256; r6 to r8: a word of each column; r9, r10: sums;
 * r11: column, less the bytes of the turns that are left out; r12: output. */

/* Common prologue. r0: job; \code_bytes: size of a turn; \tail: the end of the last one. */
        .macro  prologue code_bytes, tail
        push    {r4-r11, lr}
        sub     sp, sp, #FRAME
        ldm     r0!, {r1-r12}
        ldr     r0, [r0]
        str     r0, [sp, #OUT]
        mov     r0, #\code_bytes
        adr.w   lr, \tail
        mls     r5, r5, r0, lr
        orr     r5, r5, #1
        stm     sp, {r1-r12}
        .endm

/* r11: 0xff00ff00 */
        .macro  weights upper, lower, word
        and     \upper, r11, \word
        and     \lower, r11, \word, lsl #8
        pkhbt   \upper, \upper, \word, lsl #24
        .endm

/* Loads the weights of the next channel and sets r11 and r12 to its first column and output. */
        .macro  next_channel
        ldr     lr, [sp, #CHANNELS]
        ldr     r10, [sp, #BIAS_TOP]
        ldm     lr!, {r6-r9}
        ldrb    r12, [r10], #1
        str     lr, [sp, #CHANNELS]
        str     r10, [sp, #BIAS_TOP]
        str     r9, [sp, #MULTIPLIER]
        lsr     r9, r6, #24
        lsr     r10, r7, #24
        orr     r9, r9, r10, lsl #8
        lsr     r10, r8, #24
        orr     r9, r9, r10, lsl #16
        orr     r9, r9, r12, lsl #24
        str     r9, [sp, #BIAS]
        mov     r11, #0xff00ff00
        weights r0, r1, r6
        weights r2, r3, r7
        weights r4, r5, r8
        ldrd    r11, r12, [sp, #PLANE]
        ldr     lr, [sp, #COLUMNS_END]
        add     r9, r11, #CHANNEL
        add     r10, r12, #1
        add     lr, lr, #CHANNEL
        strd    r9, r10, [sp, #PLANE]
        str     lr, [sp, #COLUMNS_END]
        .endm

/* Steps to the next column, then to the next channel, then returns. */
        .macro  epilogue column, channel
        ldm     sp, {r6-r8}
        add     r12, r12, r6
        add     r11, r11, r7
        cmp     r11, r8
        bne     \column
        ldr     r6, [sp, #CHANNELS]
        ldr     r7, [sp, #CHANNELS_END]
        cmp     r6, r7
        bne     \channel
        add     sp, sp, #FRAME
        pop     {r4-r11, pc}
        .endm

/* void flota_nn_dsp_depthwise3_s1(job): a turn makes two outputs of a column, one below the other. */
        .section .text.flota_nn_dsp_depthwise3_s1, "ax", %progbits
        .balign 4
        .global flota_nn_dsp_depthwise3_s1
        .type   flota_nn_dsp_depthwise3_s1, %function
        .thumb_func
flota_nn_dsp_depthwise3_s1:
        prologue S1_TURN, s1_tail
s1_channel:
        next_channel
        .balign 4
s1_column:
        ldr     r6, [r11]
        ldr     r7, [r11, #COLUMN]
        ldr     r8, [r11, #(2 * COLUMN)]
        ldr     lr, [sp, #SKIP]
        lsrs    lr, lr, #1              /* carry: one output remains after the last turn */
        sub     r11, r11, lr
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
        ldr     lr, [sp, #MULTIPLIER]
        ldr     r6, [r11, #(4 * \turn + 4)]
        ldr     r7, [r11, #(4 * \turn + 4 + COLUMN)]
        ldr     r8, [r11, #(4 * \turn + 4 + 2 * COLUMN)]
        smlabt  r9, r6, r1, r9
        smlad   r10, r6, r1, r10
        smlabt  r9, r7, r3, r9
        smlad   r10, r7, r3, r10
        smlabt  r9, r8, r5, r9
        smlad   r10, r8, r5, r10
        smmul   r9, r9, lr
        smmul   r10, r10, lr
        ldr     lr, [sp, #ROW_STEP]
        ssat    r9, #8, r9, asr #8
        ssat    r10, #8, r10, asr #8
        strb    r9, [r12]
        ldr     r9, [sp, #BIAS]
        strb    r10, [r12, lr]          /* one cycle only because it follows a load */
        add     r12, r12, lr, lsl #1
    .endr
s1_tail:
    .if (. - s1_turns) != TURNS * S1_TURN
        .error "a turn has another size than the prologue is told"
    .endif
        bcc     1f
        smlad   r9, r6, r0, r9
        smlad   r9, r7, r2, r9
        smlad   r9, r8, r4, r9
        ldr     r6, [r11, #(4 * TURNS + 4)]
        ldr     r7, [r11, #(4 * TURNS + 4 + COLUMN)]
        ldr     r8, [r11, #(4 * TURNS + 4 + 2 * COLUMN)]
        ldr     lr, [sp, #MULTIPLIER]
        smlabt  r9, r6, r1, r9
        smlabt  r9, r7, r3, r9
        smlabt  r9, r8, r5, r9
        smmul   r9, r9, lr
        ssat    r9, #8, r9, asr #8
        strb    r9, [r12]
1:
        epilogue s1_column, s1_channel
        .size   flota_nn_dsp_depthwise3_s1, . - flota_nn_dsp_depthwise3_s1

/* void flota_nn_dsp_depthwise3_s2(job): a turn makes one output of a column. r1: w2 of two columns, r3: of the third, r5: bias,
 * r10: row step, lr: multiplier. */
        .section .text.flota_nn_dsp_depthwise3_s2, "ax", %progbits
        .balign 4
        .global flota_nn_dsp_depthwise3_s2
        .type   flota_nn_dsp_depthwise3_s2, %function
        .thumb_func
flota_nn_dsp_depthwise3_s2:
        prologue S2_TURN, s2_tail
s2_channel:
        next_channel
        pkhtb   r1, r3, r1, asr #16
        mov     r3, r5
        ldr     r5, [sp, #BIAS]
        ldr     lr, [sp, #MULTIPLIER]
        ldr     r10, [sp, #ROW_STEP]
        .balign 4
s2_column:
        ldr     r6, [r11]
        ldr     r7, [r11, #COLUMN]
        ldr     r8, [r11, #(2 * COLUMN)]
        ldr     r9, [sp, #SKIP]
        sub     r11, r11, r9, lsr #1
        ldr     pc, [sp, #ENTRY]

        .balign 4
s2_turns:
    .irp turn, 0, 1, 2, 3, 4, 5, 6, 7
        smlad   r9, r6, r0, r5
        smlad   r9, r7, r2, r9
        smlad   r9, r8, r4, r9
        ldr     r6, [r11, #(4 * \turn + 4)]
        ldr     r7, [r11, #(4 * \turn + 4 + COLUMN)]
        ldr     r8, [r11, #(4 * \turn + 4 + 2 * COLUMN)]
        smlabb  r9, r6, r1, r9
        smlabt  r9, r7, r1, r9
        smlabt  r9, r8, r3, r9
        smmul   r9, r9, lr
        ssat    r9, #8, r9, asr #8
        strb    r9, [r12]
        add.w   r12, r12, r10
    .endr
s2_tail:
    .if (. - s2_turns) != TURNS * S2_TURN
        .error "a turn has another size than the prologue is told"
    .endif
        epilogue s2_column, s2_channel
        .size   flota_nn_dsp_depthwise3_s2, . - flota_nn_dsp_depthwise3_s2

/* flota_nn_dsp_depthwise3_gather_t: the stack frame of the gather is the end of it. */
        .equ    GATHER_WORDS, 0
        .equ    GATHER_COLUMN_STEP, 4
        .equ    GATHER_TO_END, 8
        .equ    GATHER_FRAME, 12

/* void flota_nn_dsp_depthwise3_gather(gather)
 *
 * r0: column of the image; r1: column of the planes; r2: row step; r3: zero points; r4, r5: places in both columns;
 * r6 to r10: pixels; r11: end of the pairs; r12: edges, so that a shift brings two of them into flags; lr: bytes of the
 * pairs. */
        .section .text.flota_nn_dsp_depthwise3_gather, "ax", %progbits
        .balign 4
        .global flota_nn_dsp_depthwise3_gather
        .type   flota_nn_dsp_depthwise3_gather, %function
        .thumb_func
flota_nn_dsp_depthwise3_gather:
        push    {r4-r11, lr}
        sub     sp, sp, #GATHER_FRAME
        ldm     r0, {r0-r8}
        mov     r12, r5
        lsl     lr, r4, #2
        lsl     r6, r6, #2
        stm     sp, {r6-r8}

gather_column:
        mov     r4, r0
        mov     r5, r1
        lsls    r6, r12, #31            /* minus: KEPT, carry: ABOVE */
        bpl     1f
        ldr     r6, [r1, #(4 * TURNS)]
        ldr     r7, [r1, #(4 * TURNS + CHANNEL)]
        ldr     r8, [r1, #(4 * TURNS + 2 * CHANNEL)]
        ldr     r9, [r1, #(4 * TURNS + 3 * CHANNEL)]
        str     r7, [r1, #CHANNEL]
        str     r8, [r1, #(2 * CHANNEL)]
        str     r9, [r1, #(3 * CHANNEL)]
        str     r6, [r5], #4
1:
        bcc     2f
        ldr     r6, [r4]
        add     r4, r4, r2
        sxtb16  r7, r6
        sxtb16  r8, r6, ror #8
        pkhbt   r6, r3, r7, lsl #16
        pkhtb   r7, r7, r3, asr #16
        pkhbt   r9, r3, r8, lsl #16
        pkhtb   r8, r8, r3, asr #16
        str     r7, [r5, #(2 * CHANNEL)]
        str     r9, [r5, #CHANNEL]
        str     r8, [r5, #(3 * CHANNEL)]
        str     r6, [r5], #4
2:
        add     r11, r5, lr
        cmp     r5, r11
        beq     4f
3:
        ldr     r6, [r4]
        ldr     r7, [r4, r2]
        add     r4, r4, r2, lsl #1
        sxtb16  r8, r6
        sxtb16  r9, r7
        sxtb16  r6, r6, ror #8
        sxtb16  r7, r7, ror #8
        pkhbt   r10, r8, r9, lsl #16
        pkhtb   r9, r9, r8, asr #16
        pkhbt   r8, r6, r7, lsl #16
        pkhtb   r7, r7, r6, asr #16
        str     r9, [r5, #(2 * CHANNEL)]
        str     r8, [r5, #CHANNEL]
        str     r7, [r5, #(3 * CHANNEL)]
        str     r10, [r5], #4
        cmp     r5, r11
        bne     3b
4:
        ldr     r10, [sp, #GATHER_WORDS]
        lsls    r6, r12, #29            /* minus: BELOW */
        add     r11, r1, r10
        bpl     5f
        ldr     r6, [r4]
        sxtb16  r7, r6
        sxtb16  r8, r6, ror #8
        pkhbt   r6, r7, r3, lsl #16
        pkhtb   r7, r3, r7, asr #16
        pkhbt   r9, r8, r3, lsl #16
        pkhtb   r8, r3, r8, asr #16
        str     r7, [r5, #(2 * CHANNEL)]
        str     r9, [r5, #CHANNEL]
        str     r8, [r5, #(3 * CHANNEL)]
        str     r6, [r5], #4
5:
        cmp     r5, r11
        beq     6f
        str     r3, [r5, #CHANNEL]
        str     r3, [r5, #(2 * CHANNEL)]
        str     r3, [r5, #(3 * CHANNEL)]
        str     r3, [r5], #4
        b       5b
6:
        ldr     r6, [sp, #GATHER_COLUMN_STEP]
        ldr     r7, [sp, #GATHER_TO_END]
        add     r1, r1, #COLUMN
        add     r0, r0, r6
        cmp     r1, r7
        bne     gather_column
        add     sp, sp, #GATHER_FRAME
        pop     {r4-r11, pc}
        .size   flota_nn_dsp_depthwise3_gather, . - flota_nn_dsp_depthwise3_gather
