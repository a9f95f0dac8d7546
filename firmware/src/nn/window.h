/* The part of a sliding window that lies inside the image, along one axis. */
#ifndef FLOTA_NN_WINDOW_H
#define FLOTA_NN_WINDOW_H

#include <stdint.h>

typedef struct {
    int32_t origin;     /* image position of tap 0; negative in the border */
    int32_t begin, end; /* taps inside the image, end excluded; begin == end where there are none */
} taps_t;

static inline taps_t window_taps(int32_t out, int32_t stride, int32_t pad, int32_t dilation, int32_t size, int32_t extent)
{
    taps_t taps = {out * stride - pad, 0, size};

    if (taps.origin < 0) {
        taps.begin = (-taps.origin + dilation - 1) / dilation;
    }
    if (taps.origin + (size - 1) * dilation >= extent) {
        taps.end = taps.origin < extent ? (extent - taps.origin + dilation - 1) / dilation : 0;
    }
    if (taps.begin > taps.end) {
        taps.begin = taps.end;
    }
    return taps;
}

#endif
