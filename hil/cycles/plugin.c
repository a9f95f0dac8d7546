/* A QEMU TCG plugin that counts instructions exactly and charges each by the Cortex-M4's timing table (cortex_m4.c).
 *
 *   -plugin libcycles.so,spec=FILE,out=FILE
 *
 * The spec names what is of interest, a line each, addresses in hexadecimal without the Thumb bit:
 *   region START STOP    counted from the instruction at START up to, without it, the one at STOP; STOP 0: until the
 *                        function that begins at START returns
 *   bucket START         what the function that begins at START executes, callees that are no buckets included
 * The file that is written when QEMU ends is described in hil/cycles/counts.py, which reads it.
 *
 * One processor is watched: with -icount QEMU runs them all in one thread, and the boards have one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cortex_m4.h"
#include "qemu_plugin.h"

#define FORMAT_VERSION 2
#define LINE_BYTES 128
#define MAX_DEPTH 64
#define NOWHERE UINT32_MAX

typedef struct {
    uint64_t instructions;
    uint64_t cycles;
} cost_t;

/* A translated instruction; one for each address, for as long as the same opcode stands there. */
typedef struct instruction {
    struct instruction *next; /* in the same chain of the hash table */
    uint32_t address;
    uint32_t opcode;
    uint8_t size;
    int32_t region; /* that begins here, or -1 */
    int32_t bucket; /* that begins here, or -1 */
    m4_instruction_t timing;
} instruction_t;

typedef struct {
    uint32_t start;
    uint32_t stop;
} region_t;

/* Once through a region. `costs` has one entry for what is in no bucket, then one for each bucket. */
typedef struct {
    uint32_t region;
    uint64_t interruptions; /* jumps that no branch explains: an exception was taken or returned from */
    uint64_t taken, saved, folded, address_stalls, result_stalls, unaligned, skipped;
    cost_t *costs;
} passage_t;

typedef struct {
    uint32_t bucket;
    uint32_t back; /* address at which the caller goes on */
} frame_t;

#define CHAINS 65536u

static struct {
    const char *out;
    region_t *regions;
    uint32_t region_count;
    uint32_t *buckets;
    uint32_t bucket_count;
    passage_t *passages;
    size_t passage_count, passage_room;
    instruction_t *chains[CHAINS];
} the;

/* Where the processor is. */
static struct {
    const instruction_t *before; /* the instruction executed last, not charged yet */
    bool accessed;         /* whether it touched memory */
    unsigned int unaligned;
    unsigned int saved, folded, address_stall; /* of it, because of the one before it */
    passage_t *passage;                /* the region it is in, or NULL */
    uint32_t stop;
    cost_t *bucket;
    frame_t frames[MAX_DEPTH];
    unsigned int depth;
} at;

__attribute__((visibility("default"))) int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static void *grown(void *block, size_t count, size_t size)
{
    void *larger = realloc(block, count * size);

    if (larger == NULL) {
        fputs("cycles: out of memory\n", stderr);
        abort();
    }
    return larger;
}

static void *zeroed(size_t count, size_t size)
{
    return memset(grown(NULL, count, size), 0, count * size);
}

/* Charge the instruction executed last, now that the one after it is known. NULL: there is none. */
static void charge(const instruction_t *now)
{
    const instruction_t *const before = at.before;
    passage_t *const passage = at.passage;
    const unsigned int skipped = M4_TIMINGS[before->timing.row].memory && !at.accessed;
    const unsigned int waited = now == NULL ? 0 : m4_result_stall(&before->timing, &now->timing);
    uint64_t cycles = m4_cycles(&before->timing, at.accessed) + at.unaligned + waited;
    const bool away = now != NULL && now->address != before->address + before->size;
    const bool may_branch = before->timing.row == M4_BRANCH || before->timing.row == M4_TABLE_BRANCH ||
                            (before->timing.loaded & 0x8000u) != 0;
    const bool taken = may_branch && (away || at.accessed); /* a load of the pc may go on right behind itself */

    if (!skipped) { /* else the one cycle of a failed condition, whatever was before */
        cycles = cycles - at.saved - at.folded + at.address_stall;
        passage->saved += at.saved;
        passage->folded += at.folded;
        passage->address_stalls += at.address_stall;
    }
    if (taken) {
        cycles += M4_REFILL;
    }
    passage->taken += taken;
    passage->interruptions += away && !may_branch;
    passage->result_stalls += waited;
    passage->unaligned += at.unaligned;
    passage->skipped += skipped;
    at.bucket->instructions++;
    at.bucket->cycles += cycles;
}

static void enter_region(const instruction_t *now)
{
    const region_t *region = &the.regions[now->region];

    if (the.passage_count == the.passage_room) {
        the.passage_room = the.passage_room * 2 + 16;
        the.passages = grown(the.passages, the.passage_room, sizeof *the.passages);
    }
    at.passage = &the.passages[the.passage_count++];
    *at.passage = (passage_t){.region = (uint32_t)now->region};
    at.passage->costs = zeroed(the.bucket_count + 1u, sizeof(cost_t));
    at.bucket = at.passage->costs;
    at.depth = 0;
    at.stop = region->stop;
    if (at.stop == 0) {
        at.stop = at.before != NULL && at.before->timing.call ? at.before->address + at.before->size : NOWHERE;
    }
}

/* A function that is a bucket begins: called, or jumped to as the last thing its caller does. */
static void enter_bucket(const instruction_t *now)
{
    const bool called = at.before != NULL && at.before->timing.call;

    if ((called || at.depth == 0) && at.depth < MAX_DEPTH) {
        at.frames[at.depth++].back = called ? at.before->address + at.before->size : NOWHERE;
    }
    at.frames[at.depth - 1].bucket = (uint32_t)now->bucket + 1u;
    at.bucket = &at.passage->costs[now->bucket + 1];
}

static void leave_buckets(uint32_t address)
{
    while (at.depth > 0 && at.frames[at.depth - 1].back == address) {
        at.depth--;
        at.bucket = &at.passage->costs[at.depth == 0 ? 0 : at.frames[at.depth - 1].bucket];
    }
}

static void on_instruction(unsigned int processor, void *data)
{
    const instruction_t *const now = data;

    (void)processor;
    if (at.passage != NULL) {
        charge(now);
        leave_buckets(now->address);
        if (now->address == at.stop) {
            at.passage = NULL;
        }
    }
    if (now->region >= 0 && at.passage == NULL) {
        enter_region(now);
    }
    if (at.passage != NULL && now->bucket >= 0) {
        enter_bucket(now);
    }
    if (at.before != NULL) {
        const bool follows = now->address == at.before->address + at.before->size;

        at.folded = follows ? m4_folded(at.before->size, &now->timing) : 0;
        at.saved = m4_saved(&at.before->timing, at.accessed, &now->timing);
        at.address_stall = m4_address_stall(&at.before->timing, &now->timing);
    }
    at.before = now;
    at.accessed = false;
    at.unaligned = 0;
}

static void on_access(unsigned int processor, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    const instruction_t *const now = data;

    (void)processor;
    at.accessed = true;
    if (now->timing.may_be_unaligned) {
        at.unaligned = m4_unaligned(address, qemu_plugin_mem_size_shift(info));
    }
}

static int32_t region_at(uint32_t address)
{
    for (uint32_t i = 0; i < the.region_count; i++) {
        if (the.regions[i].start == address) {
            return (int32_t)i;
        }
    }
    return -1;
}

static int32_t bucket_at(uint32_t address)
{
    for (uint32_t i = 0; i < the.bucket_count; i++) {
        if (the.buckets[i] == address) {
            return (int32_t)i;
        }
    }
    return -1;
}

static instruction_t *instruction_at(uint32_t address, const uint16_t *halfwords, uint8_t size)
{
    instruction_t **const chain = &the.chains[(address >> 1) % CHAINS];
    const uint32_t opcode = size == 4 ? (uint32_t)halfwords[0] << 16 | halfwords[1] : halfwords[0];
    instruction_t *found;

    for (found = *chain; found != NULL; found = found->next) {
        if (found->address == address && found->opcode == opcode && found->size == size) {
            return found;
        }
    }
    found = zeroed(1, sizeof *found);
    *found = (instruction_t){
        .next = *chain,
        .address = address,
        .opcode = opcode,
        .size = size,
        .region = region_at(address),
        .bucket = bucket_at(address),
        .timing = m4_decode(halfwords[0], size == 4 ? halfwords[1] : 0, size),
    };
    *chain = found;
    return found;
}

/* Bytes of a Thumb instruction, from its first halfword (ARMv7-M A5.1). QEMU's own figure is too large where it looked
 * ahead, at the end of a page. */
static uint8_t size_of(uint16_t first)
{
    return first >> 11 >= 0x1Du ? 4 : 2;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *const insn = qemu_plugin_tb_get_insn(block, i);
        uint16_t halfwords[2] = {0, 0};

        qemu_plugin_opcode(insn, halfwords, sizeof halfwords);
        instruction_t *const found =
            instruction_at((uint32_t)qemu_plugin_insn_vaddr(insn), halfwords, size_of(halfwords[0]));
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_instruction, QEMU_PLUGIN_CB_NO_REGS, found);
        if (M4_TIMINGS[found->timing.row].memory) {
            qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, found);
        }
    }
}

static void write_passage(FILE *out, const passage_t *passage)
{
    fprintf(out, "passage %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
            passage->region, passage->interruptions, passage->taken, passage->saved, passage->folded,
            passage->address_stalls, passage->result_stalls, passage->unaligned, passage->skipped);
    for (uint32_t i = 0; i <= the.bucket_count; i++) {
        if (passage->costs[i].instructions != 0) {
            fprintf(out, "cost %" PRIu32 " %" PRIu64 " %" PRIu64 "\n", i, passage->costs[i].instructions,
                    passage->costs[i].cycles);
        }
    }
}

/* QEMU ends: write everything. "end" comes only when all of it is there, and says how many passages there are. */
static void on_exit_of_qemu(qemu_plugin_id_t id, void *data)
{
    FILE *const out = fopen(the.out, "w");

    (void)id;
    (void)data;
    if (out == NULL) {
        perror(the.out);
        return;
    }
    fprintf(out, "flota-cycles %d\n", FORMAT_VERSION);
    for (size_t i = 0; i < the.passage_count; i++) {
        write_passage(out, &the.passages[i]);
    }
    if (at.passage != NULL) {
        fputs("unfinished\n", out);
    }
    fprintf(out, "end %zu\n", the.passage_count);
    if (fclose(out) != 0) {
        perror(the.out);
    }
}

static bool read_line(const char *line)
{
    region_t region;
    uint32_t bucket;

    if (sscanf(line, "region %" SCNx32 " %" SCNx32, &region.start, &region.stop) == 2) {
        the.regions = grown(the.regions, the.region_count + 1u, sizeof region);
        the.regions[the.region_count++] = region;
    } else if (sscanf(line, "bucket %" SCNx32, &bucket) == 1) {
        the.buckets = grown(the.buckets, the.bucket_count + 1u, sizeof bucket);
        the.buckets[the.bucket_count++] = bucket;
    } else {
        return false;
    }
    return true;
}

static bool read_spec(const char *path)
{
    char line[LINE_BYTES];
    FILE *const spec = fopen(path, "r");
    bool good = spec != NULL;

    while (good && fgets(line, sizeof line, spec) != NULL) {
        good = read_line(line);
    }
    if (spec != NULL) {
        fclose(spec);
    }
    return good && the.region_count > 0;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    const char *spec = NULL;

    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "spec=", 5) == 0) {
            spec = argv[i] + 5;
        } else if (strncmp(argv[i], "out=", 4) == 0) {
            the.out = argv[i] + 4;
        }
    }
    if (spec == NULL || the.out == NULL || !read_spec(spec)) {
        fputs("cycles: spec=FILE with a region and out=FILE are needed\n", stderr);
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
    return 0;
}
