/* TensorFlow Lite Micro with one model, as C sees it; the functions are those of bare.h. */
#ifndef BENCHMARK_TFLM_H
#define BENCHMARK_TFLM_H

#include "bare.h"

#ifdef __cplusplus
extern "C" {
#endif

int32_t tflm_setup(void);
bare_tensor_t tflm_input(uint32_t index);
bare_tensor_t tflm_output(uint32_t index);
int32_t tflm_invoke(void);

/* What the interpreter says it used of its arena, in bytes. */
uint32_t tflm_used_bytes(void);

#ifdef __cplusplus
}
#endif

#endif
