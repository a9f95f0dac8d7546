#include "flota/nn.h"

void flota_nn_add_n_f32(int32_t count, int32_t inputs, const float *const *input, float *output)
{
    for (int32_t i = 0; i < count; i++) {
        float sum = 0.0f;

        for (int32_t k = 0; k < inputs; k++) {
            sum += input[k][i];
        }
        output[i] = sum;
    }
}
