/* An engine for the tests: output = input + WEIGHT[model], byte by byte; model 1 remembers how often it was invoked. */
#include <string.h>

#include "bare.h"

static uint8_t input[64];
static uint8_t output[64];
static uint8_t times;
static uint32_t selected;
static const uint8_t WEIGHT[2] = {1, 2};

int32_t bare_select(uint32_t model)
{
    selected = model;
    return model < 2u ? 0 : -1;
}

int32_t bare_setup(void)
{
    times = 0;
    return 0;
}

bare_tensor_t bare_input(uint32_t index)
{
    return (bare_tensor_t){index < 2u ? input + 32u * index : 0, index < 2u ? 32u : 0};
}

bare_tensor_t bare_output(uint32_t index)
{
    return (bare_tensor_t){index == 0 ? output : 0, index == 0 ? sizeof output : 0};
}

__attribute__((noinline)) static void op0_add(void)
{
    for (uint32_t i = 0; i < sizeof input; i++) {
        output[i] = (uint8_t)(input[i] + WEIGHT[selected]);
    }
}

__attribute__((noinline)) static void op1_count(void)
{
    times++;
    output[0] = (uint8_t)(output[0] + selected * times);
}

int32_t bare_invoke(void)
{
    if (input[0] == 0xFFu) {
        return -1;
    }
    if (input[0] == 0xFEu) {
        *(volatile uint32_t *)0xA0000000u = 0;
    }
    while (input[0] == 0xFDu) {
        __asm__ volatile("" ::: "memory");
    }
    op0_add();
    op1_count();
    return 0;
}
