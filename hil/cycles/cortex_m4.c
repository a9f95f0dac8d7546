/* The Cortex-M4's instruction timing, from its Technical Reference Manual (Arm DDI 0439, r0p1), at zero wait states.
 *
 * A model, not a measurement. What the manual leaves open is decided here, once:
 *   - P, the refill of a taken branch, is 1 to 3 in the manual; M4_REFILL (2) is charged for every one.
 *   - SDIV and UDIV take 2 to 12 cycles depending on their operands, which a plugin cannot see; 12 are charged.
 *   - IT takes 1 cycle, or none where it is folded into a 16-bit instruction right before it.
 *   - MRS, MSR and CPS take 1 or 2; 2 are charged. A barrier takes 1 and waits for nothing.
 *   - An instruction whose condition failed takes 1 cycle. That is seen where it would have touched memory or branched;
 *     a conditional divide or floating-point operation is charged as if it had been executed.
 *   - A load that updates its base delivers that base too late for the next address, as if it had been loaded.
 *   - Literal loads never contend with the fetch, and the write buffer is never full.
 *   - Floating-point loads and stores pipeline with nothing: section 7.2.3 does not say they do.
 */
#include "cortex_m4.h"

#define NAMES_PC(register_number) ((register_number) == 15u)

const m4_timing_t M4_TIMINGS[M4_ROWS] = {
    /* row                   name                 section  cycles N  memory pipelines pipelined */
    [M4_DATA] =            {"data processing",    "3.3.1",  1, 0, false, false, false}, /* multiplies, DSP, saturation too */
    [M4_DIVIDE] =          {"divide",             "3.3.1", 12, 0, false, false, false},
    [M4_LOAD] =            {"load",               "3.3.2",  2, 0, true,  true,  true},
    [M4_STORE_IMMEDIATE] = {"store, immediate",   "3.3.2",  1, 0, true,  false, false}, /* always one cycle */
    [M4_STORE_REGISTER] =  {"store, register",    "3.3.2",  2, 0, true,  false, true},
    [M4_LOAD_DOUBLE] =     {"load double",        "3.3.1",  1, 1, true,  false, false},
    [M4_STORE_DOUBLE] =    {"store double",       "3.3.1",  1, 1, true,  false, false},
    [M4_LOAD_MULTIPLE] =   {"load multiple",      "3.3.1",  1, 1, true,  false, false},
    [M4_STORE_MULTIPLE] =  {"store multiple",     "3.3.1",  1, 1, true,  false, false},
    [M4_EXCLUSIVE] =       {"exclusive",          "3.3.1",  2, 0, true,  true,  true},
    [M4_BRANCH] =          {"branch",             "3.3.1",  1, 0, false, false, false}, /* taken: + P */
    [M4_TABLE_BRANCH] =    {"table branch",       "3.3.1",  2, 0, true,  false, false},
    [M4_IT] =              {"if-then",            "3.3.1",  1, 0, false, false, false}, /* folded: 0 */
    [M4_SYSTEM] =          {"system register",    "3.3.1",  2, 0, false, false, false},
    [M4_BARRIER] =         {"barrier",            "3.3.1",  1, 0, false, false, false},
    [M4_HINT] =            {"hint",               "3.3.1",  1, 0, false, false, false},
    [M4_FP_SIMPLE] =       {"FP move",            "7.2.3",  1, 0, false, false, false},
    [M4_FP_ARITHMETIC] =   {"FP arithmetic",      "7.2.3",  1, 0, false, false, false},
    [M4_FP_ACCUMULATE] =   {"FP accumulate",      "7.2.3",  3, 0, false, false, false},
    [M4_FP_DIVIDE] =       {"FP divide, root",    "7.2.3", 14, 0, false, false, false},
    [M4_FP_CORE_PAIR] =    {"FP move of two",     "7.2.3",  2, 0, false, false, false},
    [M4_FP_LOAD] =         {"FP load",            "7.2.3",  1, 1, true,  false, false},
    [M4_FP_STORE] =        {"FP store",           "7.2.3",  1, 1, true,  false, false},
    [M4_FP_MULTIPLE] =     {"FP multiple",        "7.2.3",  1, 1, true,  false, false},
};

static uint16_t bit(unsigned int number)
{
    return (uint16_t)(1u << number);
}

static unsigned int field(unsigned int value, unsigned int low, unsigned int width)
{
    return (value >> low) & ((1u << width) - 1u);
}

static uint8_t ones(unsigned int value)
{
    return (uint8_t)__builtin_popcount(value);
}

static m4_instruction_t plain(m4_row_t row)
{
    return (m4_instruction_t){.row = row};
}

/* A result in a core register; the pc as a result is a branch, 1 + P (table 3-1, "Move to PC", "Add to PC"). */
static m4_instruction_t data(unsigned int destination)
{
    m4_instruction_t found = plain(NAMES_PC(destination) ? M4_BRANCH : M4_DATA);

    found.computed = NAMES_PC(destination) ? 0 : bit(destination);
    return found;
}

static m4_instruction_t single(bool load, bool immediate, unsigned int target, uint16_t addresses, bool aligned)
{
    m4_instruction_t found = plain(load ? M4_LOAD : immediate ? M4_STORE_IMMEDIATE : M4_STORE_REGISTER);

    found.registers = 1;
    found.addresses = addresses & 0x7FFFu; /* the pc is always there */
    found.loaded = load ? bit(target) : 0;
    found.may_be_unaligned = !aligned;
    return found;
}

static m4_instruction_t multiple(bool load, unsigned int list, unsigned int base, bool update)
{
    m4_instruction_t found = plain(load ? M4_LOAD_MULTIPLE : M4_STORE_MULTIPLE);

    found.registers = ones(list);
    found.addresses = bit(base);
    found.loaded = (uint16_t)((load ? list : 0u) | (update ? bit(base) : 0u));
    return found;
}

/* 0100 0xxx: data processing, special data and branches, literal loads (ARMv7-M A5.2.2 and A5.2.3). */
static m4_instruction_t decode_special(uint16_t code)
{
    const unsigned int low = field(code, 0, 3);
    const unsigned int high = low | (field(code, 7, 1) << 3);

    if (code & 0x0800u) {
        return single(true, true, field(code, 8, 3), 0, true);
    }
    if ((code & 0x0400u) == 0) { /* TST, CMP and CMN give flags only */
        const unsigned int operation = field(code, 6, 4);

        return operation == 8 || operation == 10 || operation == 11 ? plain(M4_DATA) : data(low);
    }
    if ((code & 0x0300u) == 0x0300u) {
        m4_instruction_t found = plain(M4_BRANCH);

        found.call = (code & 0x80u) != 0;
        return found;
    }
    return (code & 0x0300u) == 0x0100u ? plain(M4_DATA) : data(high);
}

/* 1011 xxxx: miscellaneous (ARMv7-M A5.2.5). */
static m4_instruction_t decode_miscellaneous(uint16_t code)
{
    if ((code & 0xF500u) == 0xB100u) { /* CBZ, CBNZ */
        return plain(M4_BRANCH);
    }
    if ((code & 0xFF00u) == 0xB000u) {
        return data(13);
    }
    if ((code & 0xFE00u) == 0xB400u) {
        return multiple(false, field(code, 0, 9), 13, true);
    }
    if ((code & 0xFE00u) == 0xBC00u) {
        return multiple(true, field(code, 0, 8) | (field(code, 8, 1) << 15), 13, true);
    }
    if ((code & 0xFFE0u) == 0xB660u) {
        return plain(M4_SYSTEM);
    }
    if ((code & 0xFF00u) == 0xBF00u) {
        return plain(code & 0x0Fu ? M4_IT : M4_HINT);
    }
    if ((code & 0xFF00u) == 0xBE00u) {
        return plain(M4_HINT); /* BKPT: what happens then is the debugger's */
    }
    return data(field(code, 0, 3)); /* extend, reverse */
}

static m4_instruction_t decode_16(uint16_t code)
{
    const unsigned int first = field(code, 0, 3), second = field(code, 3, 3), eighth = field(code, 8, 3);

    switch (code >> 12) {
    case 0x0:
    case 0x1: /* shifts, add and subtract */
        return data(first);
    case 0x2: /* MOV, CMP with an immediate */
        return code & 0x0800u ? plain(M4_DATA) : data(eighth);
    case 0x3:
        return data(eighth);
    case 0x4:
        return decode_special(code);
    case 0x5: { /* register offset; operations 3 to 7 load; bytes are 2, 3 and 6 */
        const unsigned int operation = field(code, 9, 3);
        const bool byte = operation == 2 || operation == 3 || operation == 6;

        return single(operation >= 3, false, first, bit(second) | bit(field(code, 6, 3)), byte);
    }
    case 0x6:
    case 0x7:
    case 0x8:
        return single((code & 0x0800u) != 0, true, first, bit(second), code >> 12 == 0x7);
    case 0x9:
        return single((code & 0x0800u) != 0, true, eighth, bit(13), false);
    case 0xA:
        return data(eighth);
    case 0xB:
        return decode_miscellaneous(code);
    case 0xC: { /* LDM does not write back a base that it loads */
        const bool load = (code & 0x0800u) != 0;

        return multiple(load, field(code, 0, 8), eighth, true);
    }
    case 0xD:
        return plain(field(code, 8, 4) >= 14 ? M4_HINT : M4_BRANCH); /* UDF, SVC: what happens then is not modelled */
    default:
        return plain(M4_BRANCH);
    }
}

/* Load and store double and exclusive, table branch (ARMv7-M A5.3.6). */
static m4_instruction_t decode_double(uint16_t first, uint16_t second)
{
    const bool load = (first & 0x0010u) != 0, update = (first & 0x0020u) != 0;
    const unsigned int base = field(first, 0, 4), target = field(second, 12, 4);

    if ((first & 0x0120u) == 0) {
        m4_instruction_t found;

        if ((first & 0x00F0u) == 0x00D0u && (second & 0x00E0u) == 0) {
            found = plain(M4_TABLE_BRANCH);
            found.addresses = (bit(base) | bit(field(second, 0, 4))) & 0x7FFFu;
            return found;
        }
        found = plain(M4_EXCLUSIVE);
        found.addresses = bit(base);
        found.loaded = load ? bit(target) : bit(field(first & 0x80u ? second : second >> 8, 0, 4));
        return found;
    }
    m4_instruction_t found = plain(load ? M4_LOAD_DOUBLE : M4_STORE_DOUBLE);

    found.registers = 2;
    found.addresses = bit(base) & 0x7FFFu;
    found.loaded = (uint16_t)((load ? bit(target) | bit(field(second, 8, 4)) : 0u) | (update ? bit(base) : 0u));
    return found;
}

/* Single loads and stores, memory hints (ARMv7-M A5.3.7 to A5.3.10). */
static m4_instruction_t decode_single(uint16_t first, uint16_t second)
{
    const bool load = (first & 0x0010u) != 0, byte = (first & 0x0060u) == 0;
    const unsigned int base = field(first, 0, 4), target = field(second, 12, 4);
    const bool long_immediate = (first & 0x0080u) != 0 || NAMES_PC(base);
    const bool register_offset = !long_immediate && (second & 0x0800u) == 0;
    const bool update = !long_immediate && !register_offset && (second & 0x0100u) != 0;
    uint16_t addresses = bit(base);

    if (load && NAMES_PC(target) && (first & 0x0060u) != 0x0040u) {
        return plain(M4_HINT); /* PLD, PLI */
    }
    if (register_offset) {
        addresses |= bit(field(second, 0, 4));
    }
    m4_instruction_t found = single(load, !register_offset, target, addresses, byte || NAMES_PC(base));

    found.loaded |= update ? bit(base) : 0u;
    return found;
}

/* Branches and miscellaneous control (ARMv7-M A5.3.4). */
static m4_instruction_t decode_control(uint16_t first, uint16_t second)
{
    m4_instruction_t found = plain(M4_BRANCH);

    if (second & 0x5000u) { /* B.W, BL */
        found.call = (second & 0x5000u) == 0x5000u;
        return found;
    }
    if ((first & 0x0380u) != 0x0380u) { /* B<cond>.W */
        return found;
    }
    if ((first & 0xFFE0u) == 0xF3E0u) { /* MRS */
        found = data(field(second, 8, 4));
        found.row = M4_SYSTEM;
        return found;
    }
    if ((first & 0xFFE0u) == 0xF380u) { /* MSR */
        return plain(M4_SYSTEM);
    }
    return plain((first & 0xFFF0u) == 0xF3B0u ? M4_BARRIER : M4_HINT);
}

/* Core results of 32-bit data processing. Only flags: Rd is the pc. */
static m4_instruction_t data_32(unsigned int destination)
{
    return NAMES_PC(destination) ? plain(M4_DATA) : data(destination);
}

static m4_instruction_t decode_long_multiply(uint16_t first, uint16_t second)
{
    m4_instruction_t found = data(field(second, 8, 4));

    if ((first & 0x0050u) == 0x0010u && (second & 0x00F0u) == 0x00F0u) {
        found.row = M4_DIVIDE;
    } else {
        found.computed |= bit(field(second, 12, 4));
    }
    return found;
}

static uint32_t fp_bit(unsigned int number, unsigned int low_bit)
{
    return 1u << (((number << 1) | low_bit) & 31u);
}

/* `count` single registers from `first` on. */
static uint32_t fp_range(unsigned int first, unsigned int count)
{
    const uint64_t set = ((UINT64_C(1) << (count > 32 ? 32 : count)) - 1u) << first;

    return (uint32_t)set;
}

/* Floating-point loads and stores, moves of two core registers (ARMv7-M A6.5, A6.7). */
static m4_instruction_t decode_fp_memory(uint16_t first, uint16_t second)
{
    const bool load = (first & 0x0010u) != 0, update = (first & 0x0020u) != 0, twice = (second & 0x0100u) != 0;
    const unsigned int base = field(first, 0, 4), words = field(second, 0, 8);
    const unsigned int target = twice ? field(second, 12, 4) << 1 : (field(second, 12, 4) << 1) | field(first, 6, 1);
    m4_instruction_t found;

    if ((first & 0xFFE0u) == 0xEC40u) {
        const unsigned int pair = twice ? field(second, 0, 4) << 1 : (field(second, 0, 4) << 1) | field(second, 5, 1);

        found = plain(M4_FP_CORE_PAIR);
        found.computed = load ? bit(field(second, 12, 4)) | bit(base) : 0;
        found.fp_consumed = load ? fp_range(pair, 2) : 0;
        return found;
    }
    if ((first & 0x0120u) == 0x0100u) {
        found = plain(load ? M4_FP_LOAD : M4_FP_STORE);
        found.registers = twice ? 2 : 1;
    } else {
        found = plain(M4_FP_MULTIPLE);
        found.registers = (uint8_t)words;
        found.loaded = update ? bit(base) : 0;
    }
    found.addresses = bit(base) & 0x7FFFu;
    found.fp_consumed = load ? 0 : fp_range(target, found.registers);
    return found;
}

/* VMOV between a core and a single register, VMRS, VMSR (ARMv7-M A6.6). */
static m4_instruction_t decode_fp_transfer(uint16_t first, uint16_t second)
{
    const bool to_core = (first & 0x0010u) != 0;
    const unsigned int core = field(second, 12, 4);
    m4_instruction_t found = plain(M4_FP_SIMPLE);

    if (to_core) {
        found.computed = NAMES_PC(core) ? 0 : bit(core); /* VMRS to APSR */
        found.fp_consumed = (first & 0x00E0u) == 0x00E0u ? 0 : fp_bit(field(first, 0, 4), field(second, 7, 1));
    }
    return found;
}

/* Floating-point data processing (ARMv7-M A6.4). */
static m4_instruction_t decode_fp_data(uint16_t first, uint16_t second)
{
    static const m4_row_t ROWS[16] = {
        [0x0] = M4_FP_ACCUMULATE, [0x1] = M4_FP_ACCUMULATE, [0x2] = M4_FP_ARITHMETIC, [0x3] = M4_FP_ARITHMETIC,
        [0x8] = M4_FP_DIVIDE,     [0x9] = M4_FP_ACCUMULATE, [0xA] = M4_FP_ACCUMULATE, [0xB] = M4_FP_ARITHMETIC,
    };
    const unsigned int operation = field(first, 4, 4) & 0xBu;
    const uint32_t destination = fp_bit(field(second, 12, 4), field(first, 6, 1));
    const uint32_t left = fp_bit(field(first, 0, 4), field(second, 7, 1));
    const uint32_t right = fp_bit(field(second, 0, 4), field(second, 5, 1));
    m4_instruction_t found = plain(ROWS[operation]);

    found.fp_computed = destination;
    found.fp_consumed = left | right | (found.row == M4_FP_ACCUMULATE ? destination : 0u);
    if (operation == 0xBu) {
        const unsigned int variant = field(first, 0, 4);
        const unsigned int kind = field(second, 6, 2);

        found.fp_consumed = right;
        if ((kind & 1u) == 0 || (variant == 0 && kind == 1)) { /* VMOV, immediate or register: no arithmetic */
            found.row = M4_FP_SIMPLE;
            found.fp_computed = 0;
            found.fp_consumed = kind & 1u ? right : 0;
        } else if (variant == 1 && kind == 3) {
            found.row = M4_FP_DIVIDE;
        } else if (variant == 4 || variant == 5) { /* VCMP: flags only; against zero it reads the one register */
            found.fp_computed = 0;
            found.fp_consumed = variant == 4 ? destination | right : destination;
        }
    }
    return found;
}

static m4_instruction_t decode_fp(uint16_t first, uint16_t second)
{
    if ((first & 0x0F00u) != 0x0E00u) {
        return decode_fp_memory(first, second);
    }
    return second & 0x0010u ? decode_fp_transfer(first, second) : decode_fp_data(first, second);
}

static m4_instruction_t decode_32(uint16_t first, uint16_t second)
{
    if ((first & 0xEC00u) == 0xEC00u) {
        return decode_fp(first, second);
    }
    if ((first & 0xFE40u) == 0xE800u) {
        const bool load = (first & 0x0010u) != 0;

        return multiple(load, second, field(first, 0, 4), (first & 0x0020u) != 0);
    }
    if ((first & 0xFE40u) == 0xE840u) {
        return decode_double(first, second);
    }
    if ((first & 0xFE00u) == 0xEA00u) {
        return data_32(field(second, 8, 4));
    }
    if ((first & 0xF800u) == 0xF000u) {
        return second & 0x8000u ? decode_control(first, second) : data_32(field(second, 8, 4));
    }
    if ((first & 0xFE00u) == 0xF800u) {
        return decode_single(first, second);
    }
    return (first & 0xFF80u) == 0xFB80u ? decode_long_multiply(first, second) : data_32(field(second, 8, 4));
}

m4_instruction_t m4_decode(uint16_t first, uint16_t second, unsigned int size)
{
    return size == 4 ? decode_32(first, second) : decode_16(first);
}

unsigned int m4_cycles(const m4_instruction_t *now, bool accessed)
{
    const m4_timing_t *timing = &M4_TIMINGS[now->row];

    if (timing->memory && !accessed) {
        return M4_SKIPPED;
    }
    return (unsigned int)timing->cycles + (unsigned int)timing->per_register * now->registers;
}

/* Table 3-1: an IT instruction can be folded onto a preceding 16-bit one, which makes it take no cycle. */
unsigned int m4_folded(unsigned int size_before, const m4_instruction_t *now)
{
    return now->row == M4_IT && size_before == 2 ? M4_TIMINGS[M4_IT].cycles : 0;
}

unsigned int m4_saved(const m4_instruction_t *before, bool accessed, const m4_instruction_t *now)
{
    const bool follows = M4_TIMINGS[before->row].pipelines && accessed && M4_TIMINGS[now->row].pipelined;

    return follows && (before->loaded & now->addresses) == 0 ? M4_SAVED : 0;
}

unsigned int m4_address_stall(const m4_instruction_t *before, const m4_instruction_t *now)
{
    return before->computed & now->addresses ? M4_STALL : 0;
}

unsigned int m4_result_stall(const m4_instruction_t *before, const m4_instruction_t *now)
{
    return before->fp_computed & now->fp_consumed ? M4_STALL : 0;
}

unsigned int m4_unaligned(uint64_t address, unsigned int size_shift)
{
    if (size_shift == 1) {
        return address & 1u ? 1u : 0;
    }
    if (size_shift == 2) {
        return address & 1u ? 2u : address & 2u ? 1u : 0;
    }
    return 0;
}
