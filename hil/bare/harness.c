/* Runs the inferences of a file and writes the answers to another; both cross by semihosting, straight into and out of
 * the engine's tensors. Numbers are little-endian.
 *
 *   inferences.bin: (u32 model, u32 fresh, u32 bytes, the bytes of its inputs end to end)...
 *   answers.bin:    (u32 setup stack, u32 invoke stack, u32 heap, u32 bytes, the bytes of its outputs end to end)...
 */
#include "bare.h"
#include "startup.h"

#define PAINT 0xA5A5A5A5u
#define NO_MODEL UINT32_MAX

enum { SYS_OPEN = 1, SYS_CLOSE = 2, SYS_WRITE = 5, SYS_READ = 6 };
enum { MODE_READ = 1, MODE_WRITE = 5 };

typedef int32_t (*step_t)(void);

int main(void);

static const char INFERENCES[] = "inferences.bin";
static const char ANSWERS[] = "answers.bin";

static uint32_t file_open(const char *name, uint32_t name_bytes, uint32_t mode)
{
    const uint32_t block[3] = {(uint32_t)(uintptr_t)name, mode, name_bytes};
    const uint32_t handle = bare_semihosting(SYS_OPEN, block);

    if (handle == UINT32_MAX) {
        bare_exit(BARE_EXIT_FILES);
    }
    return handle;
}

/* How many of the bytes were not read: 0, or all of them at the end of the file. */
static uint32_t file_read(uint32_t handle, void *data, uint32_t bytes)
{
    const uint32_t block[3] = {handle, (uint32_t)(uintptr_t)data, bytes};

    return bytes == 0 ? 0 : bare_semihosting(SYS_READ, block);
}

static void file_write(uint32_t handle, const void *data, uint32_t bytes)
{
    const uint32_t block[3] = {handle, (uint32_t)(uintptr_t)data, bytes};

    if (bytes != 0 && bare_semihosting(SYS_WRITE, block) != 0) {
        bare_exit(BARE_EXIT_FILES);
    }
}

/* Paint the free stack, take the step, and see how deep it went. */
__attribute__((noinline)) static uint32_t stack_of(step_t step, uint32_t failure)
{
    volatile uint32_t *word;
    uint32_t *pointer;

    __asm__ volatile("mov %0, sp" : "=r"(pointer)::"memory");
    for (word = bare_stack_bottom; word < pointer; word++) {
        *word = PAINT;
    }
    if (step() != 0) {
        bare_exit(failure);
    }
    for (word = bare_stack_bottom; word < pointer && *word == PAINT;) {
        word++;
    }
    return (uint32_t)(pointer - word) * (uint32_t)sizeof *word;
}

static void read_inputs(uint32_t inferences, uint32_t bytes)
{
    for (uint32_t i = 0;; i++) {
        const bare_tensor_t tensor = bare_input(i);

        if (tensor.bytes == 0) {
            break;
        }
        if (tensor.bytes > bytes || file_read(inferences, tensor.data, tensor.bytes) != 0) {
            bare_exit(BARE_EXIT_INPUT);
        }
        bytes -= tensor.bytes;
    }
    if (bytes != 0) {
        bare_exit(BARE_EXIT_INPUT);
    }
}

static uint32_t output_bytes(void)
{
    uint32_t bytes = 0;

    for (uint32_t i = 0; bare_output(i).bytes != 0; i++) {
        bytes += bare_output(i).bytes;
    }
    return bytes;
}

static void write_answer(uint32_t answers, uint32_t setup_stack, uint32_t invoke_stack)
{
    const uint32_t head[4] = {setup_stack, invoke_stack, bare_heap_bytes(), output_bytes()};

    file_write(answers, head, sizeof head);
    for (uint32_t i = 0; bare_output(i).bytes != 0; i++) {
        file_write(answers, bare_output(i).data, bare_output(i).bytes);
    }
}

__attribute__((weak)) int32_t bare_select(uint32_t model)
{
    return model == 0 ? 0 : -1;
}

int main(void)
{
    const uint32_t inferences = file_open(INFERENCES, sizeof INFERENCES - 1u, MODE_READ);
    const uint32_t answers = file_open(ANSWERS, sizeof ANSWERS - 1u, MODE_WRITE);
    uint32_t head[3], model = NO_MODEL, setup_stack = 0;

    while (file_read(inferences, head, sizeof head) == 0) {
        if (head[0] != model || head[1] != 0) {
            model = head[0];
            if (bare_select(model) != 0) {
                bare_exit(BARE_EXIT_MODEL);
            }
            setup_stack = stack_of(bare_setup, BARE_EXIT_SETUP);
        }
        read_inputs(inferences, head[2]);
        write_answer(answers, setup_stack, stack_of(bare_invoke, BARE_EXIT_INVOKE));
    }
    (void)bare_semihosting(SYS_CLOSE, &inferences);
    (void)bare_semihosting(SYS_CLOSE, &answers);
    return BARE_EXIT_DONE;
}
