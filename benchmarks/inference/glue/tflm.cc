// TensorFlow Lite Micro with one model: an interpreter in static memory, its arena and the model from outside.
//
// tflm_operators.h is generated: OPERATOR_COUNT, VARIABLE_COUNT and register_operators().
#include "tflm.h"

#include <cstdarg>
#include <cstddef>
#include <new>

#include "tensorflow/lite/micro/debug_log.h"
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#include "tflm_operators.h"

// Defined here, or the ones of the libraries come with printf, signals, a heap and a demangler.
extern "C" void __cxa_pure_virtual() {
  for (;;) {
  }
}
extern "C" void abort(void) {
  for (;;) {
  }
}
extern "C" void DebugLog(const char*, va_list) {}
extern "C" int DebugVsnprintf(char*, size_t, const char*, va_list) { return 0; }

// From tflm_data.S.
extern "C" const uint8_t model_data[];
extern "C" uint8_t arena[];
extern "C" uint8_t arena_end[];

namespace {

using Resolver = tflite::MicroMutableOpResolver<OPERATOR_COUNT>;

// Placed by hand: static objects with destructors would bring atexit and a heap along.
alignas(tflite::MicroInterpreter) uint8_t interpreter_place[sizeof(tflite::MicroInterpreter)];
alignas(Resolver) uint8_t resolver_place[sizeof(Resolver)];
tflite::MicroInterpreter* interpreter;
Resolver* resolver;

// Another interpreter; what the one before remembered is gone with it.
TfLiteStatus interpret() {
  const size_t arena_bytes = size_t(arena_end - arena);
  if (resolver == nullptr) {
    resolver = new (resolver_place) Resolver;
    if (register_operators(*resolver) != kTfLiteOk) return kTfLiteError;
  }
  const tflite::Model* model = tflite::GetModel(model_data);
#if VARIABLE_COUNT > 0
  tflite::MicroAllocator* allocator = tflite::MicroAllocator::Create(arena, arena_bytes);
  if (allocator == nullptr) return kTfLiteError;
  tflite::MicroResourceVariables* variables = tflite::MicroResourceVariables::Create(allocator, VARIABLE_COUNT);
  interpreter = new (interpreter_place) tflite::MicroInterpreter(model, *resolver, allocator, variables);
#else
  interpreter = new (interpreter_place) tflite::MicroInterpreter(model, *resolver, arena, arena_bytes);
#endif
  return interpreter->AllocateTensors();
}

bare_tensor_t place_of(TfLiteTensor* tensor) {
  return tensor == nullptr ? bare_tensor_t{nullptr, 0} : bare_tensor_t{tensor->data.raw, uint32_t(tensor->bytes)};
}

}  // namespace

int32_t tflm_setup(void) { return interpret() == kTfLiteOk ? 0 : -1; }

uint32_t tflm_used_bytes(void) { return uint32_t(interpreter->arena_used_bytes()); }

bare_tensor_t tflm_input(uint32_t index) {
  return index < interpreter->inputs_size() ? place_of(interpreter->input(index)) : bare_tensor_t{nullptr, 0};
}

bare_tensor_t tflm_output(uint32_t index) {
  return index < interpreter->outputs_size() ? place_of(interpreter->output(index)) : bare_tensor_t{nullptr, 0};
}

int32_t tflm_invoke(void) { return interpreter->Invoke() == kTfLiteOk ? 0 : -1; }
