#include "image.h"

#include <stdbool.h>
#include <string.h>

#include "crc32.h"
#include "crypto_hash_sha512.h"
#include "flota/model.h"
#include "monocypher.h"

#define PAYLOAD_OFFSET (FLOTA_SIGNATURE_BYTES + (uint32_t)sizeof(flota_image_header_t))
#define HASH_PIECE_BYTES 65536u /* between two feedings of the watchdog */

/* flota_model_t and flota_tensor_slot_t as 32-bit code lays them out, read as data so that any host can check them. */
typedef struct {
    uint32_t abi;
    uint32_t arena_bytes;
    uint32_t state_bytes;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t inputs;
    uint32_t outputs;
    uint32_t invoke;
    uint32_t reset;
} model_words_t;

const uint8_t *flota_image_start(const flota_core_t *core, uint8_t slot)
{
    return core->port->flash + core->port->geometry.slot_offset[slot];
}

flota_image_header_t flota_image_header(const flota_core_t *core, uint8_t slot)
{
    flota_image_header_t header;

    memcpy(&header, flota_image_start(core, slot) + FLOTA_SIGNATURE_BYTES, sizeof header);
    return header;
}

/* Whether `size` bytes at `offset` lie within `total` bytes; no sum that could overflow. */
static bool lies_within(uint32_t offset, uint32_t size, uint32_t total)
{
    return offset <= total && size <= total - offset;
}

static bool text_equal(const char *field, uint32_t size, const char *text)
{
    const size_t length = strlen(text);

    return length < size && memcmp(field, text, length + 1u) == 0;
}

int32_t flota_image_check(const flota_core_t *core, uint8_t slot, uint32_t image_bytes)
{
    const flota_geometry_t *geometry = &core->port->geometry;
    flota_image_header_t header;

    if (image_bytes > geometry->slot_bytes) {
        return -FLOTA_STATUS_IMAGE_OVERSIZE;
    }
    if (image_bytes < PAYLOAD_OFFSET) {
        return -FLOTA_STATUS_IMAGE_TRUNCATED;
    }
    header = flota_image_header(core, slot);
    if (header.magic != FLOTA_IMAGE_MAGIC || header.header_version != FLOTA_HEADER_VERSION ||
        header.header_size != sizeof header || header.crc != flota_crc32_update(0, &header, sizeof header - 4u)) {
        return -FLOTA_STATUS_IMAGE_FORMAT;
    }
    if (!text_equal(header.board, sizeof header.board, geometry->board)) {
        return -FLOTA_STATUS_IMAGE_WRONG_BOARD;
    }
    if (header.slot != slot || header.load_address != geometry->flash_base + geometry->slot_offset[slot]) {
        return -FLOTA_STATUS_IMAGE_WRONG_SLOT;
    }
    if (header.payload_bytes > image_bytes - PAYLOAD_OFFSET) {
        return -FLOTA_STATUS_IMAGE_TRUNCATED;
    }
    return header.payload_bytes < image_bytes - PAYLOAD_OFFSET ? -FLOTA_STATUS_IMAGE_OVERSIZE : 0;
}

/* Ed25519 (RFC 8032) from Monocypher's curve arithmetic and our SHA-512. */
static int32_t check_signature(const flota_core_t *core, const uint8_t *image, uint32_t image_bytes)
{
    for (uint32_t key = 0; key < core->factory.key_count; key++) {
        const uint8_t *public_key = core->factory.public_keys + 32u * key;
        uint8_t digest[crypto_hash_sha512_BYTES];
        uint8_t scalar[32];
        crypto_hash_sha512_state hash;

        (void)crypto_hash_sha512_init(&hash);
        (void)crypto_hash_sha512_update(&hash, image, 32);
        (void)crypto_hash_sha512_update(&hash, public_key, 32);
        for (uint32_t done = FLOTA_SIGNATURE_BYTES; done < image_bytes;) {
            const uint32_t left = image_bytes - done;
            const uint32_t piece = left < HASH_PIECE_BYTES ? left : HASH_PIECE_BYTES;

            (void)crypto_hash_sha512_update(&hash, image + done, piece);
            done += piece;
            core->port->watchdog_feed(core->port->context);
        }
        (void)crypto_hash_sha512_final(&hash, digest);
        crypto_eddsa_reduce(scalar, digest);
        if (crypto_eddsa_check_equation(image, public_key, scalar) == 0) {
            return 0;
        }
    }
    return core->factory.key_count > 0 ? -FLOTA_STATUS_IMAGE_BAD_SIGNATURE : -FLOTA_STATUS_NO_PUBLIC_KEY;
}

/* Read `count` tensor places at address `table` and add up their bytes in `total`. None may lie in the state. */
static bool read_places(const uint8_t *payload, uint32_t payload_address, const flota_image_header_t *header,
                        uint32_t state_bytes, uint32_t table, uint32_t count, flota_tensor_place_t *places,
                        uint32_t *total)
{
    const uint32_t offset = table - payload_address;

    *total = 0;
    if (count == 0 || count > FLOTA_MAX_TENSORS || table < payload_address ||
        !lies_within(offset, count * (uint32_t)sizeof *places, header->payload_bytes)) {
        return false;
    }
    memcpy(places, payload + offset, count * sizeof *places);
    for (uint32_t i = 0; i < count; i++) {
        if (places[i].bytes == 0 || places[i].offset < state_bytes ||
            !lies_within(places[i].offset, places[i].bytes, header->arena_bytes) ||
            places[i].bytes > UINT32_MAX - *total) {
            return false;
        }
        *total += places[i].bytes;
    }
    return true;
}

/* Whether `address` can be that of a function of the payload. */
static bool is_code(uint32_t address, uint32_t payload_address, const flota_image_header_t *header)
{
    return address >= payload_address && lies_within(address - payload_address, 2, header->payload_bytes);
}

static int32_t read_model(const uint8_t *payload, uint32_t payload_address, const flota_image_header_t *header,
                          flota_model_host_t *model)
{
    model_words_t words;

    if (header->model_offset % 4u != 0 || !lies_within(header->model_offset, sizeof words, header->payload_bytes)) {
        return -FLOTA_STATUS_IMAGE_MODEL;
    }
    memcpy(&words, payload + header->model_offset, sizeof words);
    if (words.abi != FLOTA_MODEL_ABI || words.arena_bytes != header->arena_bytes ||
        !is_code(words.invoke, payload_address, header) || (words.reset != 0) != (words.state_bytes > 0) ||
        (words.reset != 0 && !is_code(words.reset, payload_address, header)) ||
        !read_places(payload, payload_address, header, words.state_bytes, words.inputs, words.input_count,
                     model->inputs, &model->input_bytes) ||
        !read_places(payload, payload_address, header, words.state_bytes, words.outputs, words.output_count,
                     model->outputs, &model->output_bytes)) {
        return -FLOTA_STATUS_IMAGE_MODEL;
    }
    model->entry = words.invoke;
    model->reset_entry = words.reset;
    model->input_count = words.input_count;
    model->output_count = words.output_count;
    return 0;
}

static int32_t read_golden(const uint8_t *payload, const flota_image_header_t *header, flota_model_host_t *model)
{
    const uint64_t inputs = (uint64_t)header->golden_count * header->input_bytes;
    const uint64_t outputs = (uint64_t)header->golden_count * header->output_bytes;

    if (header->golden_count == 0 || header->input_bytes != model->input_bytes ||
        header->output_bytes != model->output_bytes || inputs > header->payload_bytes ||
        outputs > header->payload_bytes ||
        !lies_within(header->golden_inputs_offset, (uint32_t)inputs, header->payload_bytes) ||
        !lies_within(header->golden_outputs_offset, (uint32_t)outputs, header->payload_bytes)) {
        return -FLOTA_STATUS_IMAGE_GOLDEN;
    }
    model->golden_count = header->golden_count;
    model->golden_inputs = payload + header->golden_inputs_offset;
    model->golden_outputs = payload + header->golden_outputs_offset;
    return 0;
}

int32_t flota_image_verify(const flota_core_t *core, uint8_t slot, uint32_t image_bytes, flota_model_host_t *model)
{
    const uint8_t *image = flota_image_start(core, slot);
    flota_model_host_t found;
    flota_image_header_t header;
    int32_t error = flota_image_check(core, slot, image_bytes);

    if (error == 0) {
        error = check_signature(core, image, image_bytes);
    }
    if (error != 0) {
        return error;
    }
    header = flota_image_header(core, slot);
    if (header.security_counter < core->record.floor) {
        return -FLOTA_STATUS_IMAGE_UNDER_FLOOR;
    }
    if (header.arena_bytes > core->port->geometry.arena_bytes) {
        return -FLOTA_STATUS_IMAGE_ARENA;
    }
    memset(&found, 0, sizeof found);
    error = read_model(image + PAYLOAD_OFFSET, header.load_address + PAYLOAD_OFFSET, &header, &found);
    if (error == 0) {
        error = read_golden(image + PAYLOAD_OFFSET, &header, &found);
    }
    if (error == 0) {
        *model = found;
    }
    return error;
}

void flota_factory_load(const uint8_t *page, const char *board, flota_factory_page_t *factory)
{
    memcpy(factory, page, sizeof *factory);
    if (factory->magic != FLOTA_FACTORY_MAGIC || factory->version != FLOTA_FACTORY_VERSION ||
        factory->key_count > FLOTA_MAX_PUBLIC_KEYS || !text_equal(factory->board, sizeof factory->board, board) ||
        factory->crc != flota_crc32_update(0, factory, sizeof *factory - 4u)) {
        memset(factory, 0, sizeof *factory);
    }
}
