    .section .rodata.model_data, "a"
    .balign 16
    .global model_data
model_data:
    .incbin "model.tflite"
