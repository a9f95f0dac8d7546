/* The portable core as a Linux program: flash in a file, the board link on a pseudo-terminal, power cuts on demand.
 *
 *   simulator FLASH-FILE LINE-FD [CUT MODE]
 *
 * CUT counts flash operations (erase or program) from 1; at that one the program ends with status 99, as MODE says:
 * `before` it began, `half` way, `after` it was done, or `junk`: with arbitrary bytes where it was at work, as an
 * interrupted erase may leave. The board is called "host-simulator"; its geometry is below. A model's code is one byte
 * at its entry: see behaviour().
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "flota/core.h"

#define FLASH_BASE 0x21000000u
#define FLASH_BYTES 0x24000u
#define SECTOR_BYTES 4096u
#define UNIT_BYTES 8u
#define ARENA_BYTES 4096u
#define CUT_STATUS 99

typedef enum { CUT_BEFORE, CUT_HALF, CUT_AFTER, CUT_JUNK } cut_mode_t;

typedef struct {
    uint8_t *flash;
    int line;                   /* the controlling end of a pseudo-terminal */
    uint32_t operations;
    uint32_t cut_at; /* 0 = never */
    cut_mode_t cut_mode;
    flota_reset_info_t next;
    jmp_buf start_over;
    uint64_t started_ms;
} simulator_t;

static uint8_t arena[ARENA_BYTES] __attribute__((aligned(16)));
static simulator_t simulator;
static flota_core_t core;

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* Write `size` bytes at `offset`, and cut the power if it is time. `data` NULL means erase. */
static void operate(simulator_t *sim, uint32_t offset, const uint8_t *data, uint32_t size)
{
    const int cut = ++sim->operations == sim->cut_at;
    uint32_t count = size;

    if (cut && sim->cut_mode == CUT_BEFORE) {
        _exit(CUT_STATUS);
    }
    if (cut && (sim->cut_mode == CUT_HALF || sim->cut_mode == CUT_JUNK)) {
        count = size / 2u / UNIT_BYTES * UNIT_BYTES;
    }
    if (data == NULL) {
        memset(sim->flash + offset, 0xFF, count);
    } else {
        memcpy(sim->flash + offset, data, count);
    }
    if (cut && sim->cut_mode == CUT_JUNK) {
        for (uint32_t i = count; i < size; i++) {
            sim->flash[offset + i] &= (uint8_t)(i * 37u + sim->operations);
        }
    }
    if (cut) {
        _exit(CUT_STATUS);
    }
}

static int32_t flash_erase(void *context, uint32_t offset)
{
    if (offset % SECTOR_BYTES != 0 || offset >= FLASH_BYTES) {
        return -FLOTA_STATUS_FLASH_FAILED;
    }
    operate(context, offset, NULL, SECTOR_BYTES);
    return 0;
}

static int32_t flash_program(void *context, uint32_t offset, const uint8_t *data, uint32_t size)
{
    const simulator_t *sim = context;

    if (offset % UNIT_BYTES != 0 || size % UNIT_BYTES != 0 || offset > FLASH_BYTES || size > FLASH_BYTES - offset) {
        return -FLOTA_STATUS_FLASH_FAILED;
    }
    for (uint32_t i = 0; i < size; i++) {
        if (sim->flash[offset + i] != 0xFF) {
            return -FLOTA_STATUS_FLASH_FAILED; /* a unit is programmed once between two erases */
        }
    }
    operate(context, offset, data, size);
    return 0;
}

static void link_write(void *context, const uint8_t *data, uint32_t size)
{
    const simulator_t *sim = context;

    while (size > 0) {
        const ssize_t count = write(sim->line, data, size);

        if (count <= 0) {
            return; /* nobody listens */
        }
        data += count;
        size -= (uint32_t)count;
    }
}

static uint32_t uptime_ms(void *context)
{
    const simulator_t *sim = context;

    return (uint32_t)(now_ms() - sim->started_ms);
}

static void watchdog_feed(void *context)
{
    (void)context;
}

static void reset(void *context, uint8_t cause)
{
    simulator_t *sim = context;

    sim->next.cause = cause;
    if (cause == FLOTA_RESET_CAUSE_COMMANDED) {
        sim->next.crashes = 0;
    }
    longjmp(sim->start_over, 1);
}

static void fail(simulator_t *sim, uint8_t cause)
{
    sim->next.crashes++;
    reset(sim, cause);
}

/* What the byte at a model's entry does: 0 adds one to each of 24 bytes, 1 crashes, 2 hangs, 3 adds two, 4 fails,
 * 5 crashes on a case that begins with 0xEE and else adds one, 6 adds one more in each run since byte 0 of the arena,
 * its state, was set to zero by 7. The inputs of 6 are 16 bytes behind. */
static int32_t model_run(void *context, uint32_t entry, flota_run_cost_t *cost)
{
    simulator_t *sim = context;
    const uint8_t behaviour = sim->flash[entry - FLASH_BASE];

    if (behaviour == 1u || (behaviour == 5u && arena[0] == 0xEEu)) {
        fail(sim, FLOTA_RESET_CAUSE_CRASH);
    }
    if (behaviour == 2u) {
        fail(sim, FLOTA_RESET_CAUSE_WATCHDOG);
    }
    if (behaviour == 4u) {
        return -1;
    }
    cost->instructions = 0;
    cost->stack_bytes = 0;
    if (behaviour >= 6u) {
        arena[0] = behaviour == 7u ? 0u : (uint8_t)(arena[0] + 1u);
    }
    for (uint32_t i = 0; behaviour != 7u && i < 24u; i++) {
        arena[64u + i] = behaviour == 6u   ? (uint8_t)(arena[16u + i] + arena[0])
                         : behaviour == 3u ? (uint8_t)(arena[i] + 2u)
                                           : (uint8_t)(arena[i] + 1u);
    }
    return 0;
}

static void footprint(void *context, flota_footprint_t *footprint)
{
    (void)context;
    memset(footprint, 0, sizeof *footprint);
}

static void crashes_clear(void *context)
{
    ((simulator_t *)context)->next.crashes = 0;
}

static int map_flash(simulator_t *sim, const char *path)
{
    const int file = open(path, O_RDWR);
    void *map;

    if (file < 0) {
        return -1;
    }
    map = mmap(NULL, FLASH_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (map == MAP_FAILED) {
        return -1;
    }
    sim->flash = map;
    return 0;
}

static void serve(simulator_t *sim)
{
    uint8_t bytes[4096];
    struct pollfd wait = {.fd = sim->line, .events = POLLIN};

    for (;;) {
        ssize_t count;

        flota_core_poll(&core);
        if (poll(&wait, 1, 20) <= 0) {
            continue;
        }
        if ((wait.revents & POLLIN) == 0) {
            (void)poll(NULL, 0, 1); /* nobody has the other end open */
            continue;
        }
        count = read(sim->line, bytes, sizeof bytes);
        for (ssize_t i = 0; i < count; i++) {
            flota_core_receive(&core, bytes[i]);
        }
    }
}

static int parse_mode(const char *name, cut_mode_t *mode)
{
    static const char *const NAMES[] = {"before", "half", "after", "junk"};

    for (int i = 0; i < 4; i++) {
        if (strcmp(name, NAMES[i]) == 0) {
            *mode = (cut_mode_t)i;
            return 0;
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    static flota_port_t port;
    simulator_t *sim = &simulator;

    if ((argc != 3 && argc != 5) || map_flash(sim, argv[1]) != 0 ||
        (argc == 5 && parse_mode(argv[4], &sim->cut_mode) != 0)) {
        fprintf(stderr, "usage: simulator FLASH-FILE LINE-FD [CUT before|half|after|junk]\n");
        return 2;
    }
    sim->line = atoi(argv[2]);
    sim->cut_at = argc == 5 ? (uint32_t)atoi(argv[3]) : 0;
    port = (flota_port_t){
        .context = sim,
        .geometry = {"host-simulator", FLASH_BASE, SECTOR_BYTES, UNIT_BYTES, 0, SECTOR_BYTES,
                     {4u * SECTOR_BYTES, 20u * SECTOR_BYTES}, 16u * SECTOR_BYTES, ARENA_BYTES, 600000u, 3u, 0},
        .flash = sim->flash,
        .arena = arena,
        .flash_erase = flash_erase,
        .flash_program = flash_program,
        .link_write = link_write,
        .uptime_ms = uptime_ms,
        .watchdog_feed = watchdog_feed,
        .model_run = model_run,
        .footprint = footprint,
        .crashes_clear = crashes_clear,
        .reset = reset,
    };
    (void)setjmp(sim->start_over);
    sim->next.boots++;
    sim->started_ms = now_ms();
    {
        const flota_reset_info_t info = sim->next;

        sim->next.cause = FLOTA_RESET_CAUSE_COMMANDED;
        flota_core_start(&core, &port, &info);
    }
    serve(sim);
}
