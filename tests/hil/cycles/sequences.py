"""Short instruction sequences with their cycles, added up by hand from the Cortex-M4 Technical Reference Manual.

On entry r0 and r5 hold the address of a zeroed buffer, r1 that of its second half, r2 is 4, r3 is 0 (and Z is set), r4
is 1; the floating-point registers are 1.0. What a sequence needs to return is not in its figures.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sequence:
    """Assembly, how many instructions it executes, and the terms its cycles are the sum of."""

    name: str
    assembly: str
    instructions: int
    cycles: tuple[int, ...]


P = 2
"""The refill of a taken branch that the model charges."""

SEQUENCES = (
    Sequence("data_processing", "adds r3, r3, #1; eor.w r3, r3, r4; mvn r3, r3", 3, (1, 1, 1)),
    Sequence("compares_and_moves", "cmp r3, #1; tst r3, r4; movw r3, #1000; movt r3, #2", 4, (1, 1, 1, 1)),
    Sequence("multiplies", "mul r3, r3, r4; mla r3, r3, r4, r4; mls r3, r3, r4, r4", 3, (1, 1, 1)),
    Sequence("long_multiplies", "smull r3, r4, r4, r2; umlal r3, r4, r2, r2; smlal r3, r4, r2, r2", 3, (1, 1, 1)),
    Sequence("dsp", "smlad r3, r4, r2, r3; smmulr r3, r3, r4; sxtb16 r3, r3; pkhbt r3, r3, r4; qadd r3, r3, r4; "
             "smlald r3, r4, r2, r2; ssat r3, #8, r3; usad8 r3, r3, r4", 8, (1,) * 8),
    Sequence("bit_fields", "ubfx r3, r4, #1, #2; bfi r3, r4, #1, #2; clz r3, r3; rbit r3, r3; rev r3, r3", 5, (1,) * 5),
    Sequence("divides_at_their_longest", "sdiv r3, r2, r4; udiv r3, r2, r4", 2, (12, 12)),
    Sequence("lone_load", "ldr r3, [r0]; adds r4, #1", 2, (2, 1)),
    Sequence("two_loads_pipeline", "ldr r3, [r0]; ldr r4, [r1, #4]", 2, (2, 1)),
    Sequence("three_loads_pipeline", "ldr r3, [r0, r2]; ldr r4, [r1]; ldr r6, [r5, #4]", 3, (2, 1, 1)),
    Sequence("loads_of_all_sizes_pipeline", "ldrb r3, [r0]; ldrsh r4, [r0]; ldrsb.w r6, [r0, #3]; ldrh r7, [r0, #2]", 4,
             (2, 1, 1, 1)),
    Sequence("an_address_that_was_just_loaded", "ldr r3, [r0]; ldr r4, [r3]", 2, (2, 2)),
    Sequence("an_index_that_was_just_loaded", "ldr r3, [r0]; ldr r4, [r0, r3]", 2, (2, 2)),
    Sequence("a_literal_and_a_load", "ldr r3, =0x12345678; ldr r4, [r0]", 2, (2, 1)),
    Sequence("load_then_store_immediate", "ldr r3, [r0, r2]; str r3, [r1, #20]", 2, (2, 1)),
    Sequence("load_then_store_register", "ldr r3, [r0, r2]; str r4, [r1, r2]", 2, (2, 1)),
    Sequence("store_immediate", "str r3, [r0]; strb r3, [r0, #3]; strh.w r3, [r0, #6]", 3, (1, 1, 1)),
    Sequence("store_register", "str r3, [r0, r2]; strb r3, [r1, r2]", 2, (2, 2)),
    Sequence("nothing_pipelines_after_a_store", "str r3, [r0, r2]; ldr r4, [r1]; str r3, [r0]; ldr r6, [r1]", 4,
             (2, 2, 1, 2)),
    Sequence("data_between_loads", "ldr r3, [r0]; adds r4, #1; ldr r6, [r1]", 3, (2, 1, 2)),
    Sequence("address_just_computed", "adds r0, #4; ldr r3, [r0]", 2, (1, 2 + 1)),
    Sequence("address_computed_for_a_store", "adds r0, #4; str r3, [r0]", 2, (1, 1 + 1)),
    Sequence("address_computed_one_before", "adds r0, #4; adds r4, #1; ldr r3, [r0]", 3, (1, 1, 2)),
    Sequence("compare_computes_no_address", "cmp r0, #4; ldr r3, [r0]; tst.w r0, #4; ldr r3, [r0]", 4, (1, 2, 1, 2)),
    Sequence("post_indexed_chain", "ldr r3, [r0], #4; ldr r4, [r0], #4", 2, (2, 2)),
    Sequence("post_indexed_of_two_bases", "ldr r3, [r0], #4; ldr r4, [r1], #4", 2, (2, 1)),
    Sequence("pre_indexed_then_other", "ldr r3, [r0, #4]!; ldr r4, [r0, #4]", 2, (2, 2)),
    Sequence("load_double", "ldrd r3, r4, [r0]; ldr r6, [r1]", 2, (1 + 2, 2)),
    Sequence("load_before_load_double", "ldr r6, [r1]; ldrd r3, r4, [r0]", 2, (2, 1 + 2)),
    Sequence("load_double_then_multiply", "ldrd r3, r4, [r0, #8]; smlad r6, r3, r4, r2", 2, (1 + 2, 1)),
    Sequence("store_double", "strd r3, r4, [r0]; ldr r6, [r1]", 2, (1 + 2, 2)),
    Sequence("load_multiple", "ldm r0, {r3, r4, r6}; ldmia.w r1!, {r3, r4, r6, r7}", 2, (1 + 3, 1 + 4)),
    Sequence("store_multiple", "stm r0!, {r3, r4}; stmdb r1, {r3, r4, r6}", 2, (1 + 2, 1 + 3)),
    Sequence("push_and_pop", "push {r3, r4, r6, lr}; pop {r3, r4, r6, lr}", 2, (1 + 4, 1 + 4)),
    Sequence("pop_pc_goes_on", "push {r3, r4}; adr r6, 1f; orr r6, #1; push {r6}; pop {pc}; .balign 4; 1: pop {r3, r4}",
             6, (1 + 2, 1, 1, 1 + 1, 1 + 1 + P, 1 + 2)),
    Sequence("load_of_the_pc", "adr r6, 1f; orr r6, #1; str r6, [r0]; ldr pc, [r0]; .balign 4; 1: nop", 5,
             (1, 1, 1, 2 + P, 1)),
    Sequence("branch_taken", "b 1f; nop; 1: nop", 2, (1 + P, 1)),
    Sequence("wide_branch_taken", "b.w 1f; nop; 1: nop", 2, (1 + P, 1)),
    Sequence("condition_holds", "beq 1f; nop; 1: nop", 2, (1 + P, 1)),
    Sequence("condition_fails", "bne 1f; nop; 1: nop", 3, (1, 1, 1)),
    Sequence("wide_condition", "beq.w 1f; nop; 1: bne.w 2f; nop; 2: nop", 4, (1 + P, 1, 1, 1)),
    Sequence("compare_and_branch", "cbz r3, 1f; nop; 1: cbnz r3, 2f; nop; 2: nop", 4, (1 + P, 1, 1, 1)),
    Sequence("loop_of_three", "movs r4, #3; 1: subs r4, #1; bne 1b", 7, (1, 1, 1 + P, 1, 1 + P, 1, 1)),
    Sequence("call_and_return", "mov r6, lr; bl 1f; b 2f; 1: bx lr; 2: mov lr, r6", 5, (1, 1 + P, 1 + P, 1 + P, 1)),
    Sequence("call_of_a_register", "mov r6, lr; adr r4, 1f; orr r4, #1; blx r4; b 2f; .balign 4; 1: bx lr; "
             "2: mov lr, r6", 7, (1, 1, 1, 1 + P, 1 + P, 1 + P, 1)),
    Sequence("move_to_the_pc", "adr r4, 1f; mov pc, r4; nop; .balign 4; 1: nop", 3, (1, 1 + P, 1)),
    Sequence("table_branch", "tbb [pc, r3]; 1: .byte (2f-1b)/2, 0; 2: nop", 2, (2 + P, 1)),
    Sequence("table_branch_of_halfwords", "tbh [pc, r3, lsl #1]; 1: .hword (2f-1b)/2; 2: nop", 2, (2 + P, 1)),
    Sequence("if_then_folded_onto_16_bits", "cmp r3, #0; it eq; ldreq r4, [r1]; it ne; movne r4, #1", 5,
             (1, 0, 2, 0, 1)),
    Sequence("if_then_behind_32_bits", "cmp.w r3, #0; it eq; moveq r4, #1", 3, (1, 1, 1)),
    Sequence("if_then_branched_to", "b 1f; nop; 1: it eq; moveq r4, #1", 3, (1 + P, 1, 1)),
    Sequence("if_then_holds", "it eq; ldreq r4, [r1]; nop", 3, (1, 2, 1)),
    Sequence("if_then_fails", "it ne; ldrne r4, [r1]; nop", 3, (1, 1, 1)),
    Sequence("if_then_else", "itte eq; ldreq r4, [r1]; ldreq r6, [r0]; ldrne r7, [r0]", 4, (1, 2, 1, 1)),
    Sequence("nothing_pipelines_after_a_failed_load", "it ne; ldrne r4, [r1]; ldr r6, [r0]", 3, (1, 1, 2)),
    Sequence("if_then_store_and_pop", "itt ne; strne r4, [r0, r2]; popne {r4, r6, r7}", 3, (1, 1, 1)),
    Sequence("if_then_branch", "it eq; beq.n 1f; nop; 1: nop", 3, (1, 1 + P, 1)),
    Sequence("unaligned_word", "adds r0, #1; nop; ldr r3, [r0]; ldr r4, [r0, #1]; ldr r6, [r0, #3]", 5,
             (1, 1, 2 + 2, 1 + 1, 1)),
    Sequence("unaligned_halfword", "adds r0, #1; nop; ldrh r3, [r0]; strh r3, [r0]", 4, (1, 1, 2 + 1, 1 + 1)),
    Sequence("exclusive", "ldrex r3, [r0]; strex r4, r3, [r0]", 2, (2, 1)),
    Sequence("system_registers", "mrs r3, primask; msr basepri, r4; dsb", 3, (2, 2, 1)),
    Sequence("hints", "nop; nop.w; pld [r0]; clrex", 4, (1, 1, 1, 1)),
    Sequence("fp_arithmetic", "vadd.f32 s0, s1, s2; vmul.f32 s3, s4, s5; vsub.f32 s6, s7, s8; vneg.f32 s9, s10", 4,
             (1, 1, 1, 1)),
    Sequence("fp_result_at_once", "vadd.f32 s0, s1, s2; vmul.f32 s3, s0, s5; nop", 3, (1 + 1, 1, 1)),
    Sequence("fp_result_moved_at_once", "vcvt.s32.f32 s0, s1; vmov r3, s0", 2, (1 + 1, 1)),
    Sequence("fp_result_stored_at_once", "vadd.f32 s0, s1, s2; vstr s0, [r0]", 2, (1 + 1, 2)),
    Sequence("fp_accumulate", "vmla.f32 s0, s1, s2; vfma.f32 s3, s4, s5; vnmls.f32 s6, s7, s8", 3, (3, 3, 3)),
    Sequence("fp_accumulate_chain", "vfma.f32 s0, s1, s2; vfma.f32 s0, s3, s4", 2, (3 + 1, 3)),
    Sequence("fp_divide_and_root", "vdiv.f32 s0, s1, s2; vsqrt.f32 s3, s4", 2, (14, 14)),
    Sequence("fp_moves", "vmov s0, r3; vmov r3, s1; vmov.f32 s2, s3; vmov.f32 s4, #1.0; vmov r3, r4, s6, s7; "
             "vmov s6, s7, r3, r4", 6, (1, 1, 1, 1, 2, 2)),
    Sequence("fp_compare", "vcmp.f32 s0, s1; vmrs APSR_nzcv, fpscr; vcmp.f32 s0, #0.0", 3, (1, 1, 1)),
    Sequence("fp_load_and_store", "vldr s0, [r0]; vldr s1, [r0, #4]; vldr d1, [r0]; vstr d1, [r1]", 4, (2, 2, 3, 3)),
    Sequence("fp_multiples", "vldmia r0!, {s0-s3}; vstmia r1, {s0-s1}; vpush {s0-s7}; vpop {s0-s7}", 4,
             (1 + 4, 1 + 2, 1 + 8, 1 + 8)),
    Sequence("load_then_fp_load", "ldr r3, [r0]; vldr s0, [r0]", 2, (2, 2)),
)  # fmt: skip
