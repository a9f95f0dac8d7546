#include "frame.h"

#include <string.h>

#include "flota/wire.h"

#define BLOCK_BYTES 254u /* data bytes a COBS block can hold */

void flota_frame_send(const uint8_t *data, uint32_t size, flota_frame_write_t write, void *context)
{
    static const uint8_t DELIMITER = 0;
    uint32_t position = 0;

    write(context, &DELIMITER, 1);
    for (;;) {
        const uint32_t left = size - position;
        const uint32_t limit = left < BLOCK_BYTES ? left : BLOCK_BYTES;
        const uint8_t *zero = limit > 0 ? memchr(data + position, 0, limit) : NULL;
        const uint32_t count = zero != NULL ? (uint32_t)(zero - (data + position)) : limit;
        const uint8_t code = (uint8_t)(count + 1u);

        write(context, &code, 1);
        write(context, data + position, count);
        position += count;
        if (code == 0xFFu) {
            continue; /* a full block stands for no zero: another block follows, empty at the end */
        }
        if (position == size) {
            break;
        }
        position++; /* the zero that the end of this block stands for */
    }
    write(context, &DELIMITER, 1);
}

int32_t flota_frame_decode(uint8_t *data, uint32_t size)
{
    uint32_t in = 0;
    uint32_t out = 0;

    if (size == 0) {
        return -FLOTA_STATUS_BAD_REQUEST;
    }
    while (in < size) {
        const uint8_t code = data[in];

        if (code == 0 || in + code > size) {
            return -FLOTA_STATUS_BAD_REQUEST;
        }
        memmove(data + out, data + in + 1, code - 1u);
        out += code - 1u;
        in += code;
        if (code < 0xFFu && in < size) {
            data[out++] = 0;
        }
    }
    return (int32_t)out;
}
