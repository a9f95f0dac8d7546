/* The engine that is measured. */
#include "tflm.h"

int32_t bare_setup(void)
{
    return tflm_setup();
}

bare_tensor_t bare_input(uint32_t index)
{
    return tflm_input(index);
}

bare_tensor_t bare_output(uint32_t index)
{
    return tflm_output(index);
}

int32_t bare_invoke(void)
{
    return tflm_invoke();
}
