/* The model, and the arena of ARENA_BYTES bytes. */
    .section .rodata.model_data, "a"
    .balign 16
    .global model_data
model_data:
    .incbin "model.tflite"

    .section .bss.arena, "aw", %nobits
    .balign 16
    .global arena
    .global arena_end
arena:
    .space ARENA_BYTES
arena_end:
