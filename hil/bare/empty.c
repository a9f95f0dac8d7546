/* The engine that does nothing: what the harness alone takes. */
#include "bare.h"

int32_t bare_setup(void)
{
    return 0;
}

bare_tensor_t bare_input(uint32_t index)
{
    (void)index;
    return (bare_tensor_t){0, 0};
}

bare_tensor_t bare_output(uint32_t index)
{
    (void)index;
    return (bare_tensor_t){0, 0};
}

int32_t bare_invoke(void)
{
    return 0;
}
