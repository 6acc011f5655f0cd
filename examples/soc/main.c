/* Run two networks one after the other, and print the class of each input; then let the memory
 * fail, say so, and go on. networks.h has the networks and their inputs. */

#include "networks.h"
#include "zeroskip.h"

#define UART ((volatile uint32_t *)0xf0000000u)
#define FAULT ((volatile uint32_t *)0xf0000004u)
#define FINISH ((volatile uint32_t *)0xf0000008u)
#define CHIP ((volatile void *)0xf0010000u)

static volatile int interrupts;

static void set_mask(uint32_t mask) { __asm__ volatile("csrw 0xbc0, %0" : : "r"(mask)); }

/* The chip's interrupt stays until it is cleared, so it is masked until then. */
void trap(void) {
  set_mask(0);
  interrupts++;
}

void *memcpy(void *to, const void *from, size_t size) {
  uint8_t *bytes = to;
  const uint8_t *given = from;
  if ((((uintptr_t)to | (uintptr_t)from) & 3) == 0)
    for (; size >= 4; size -= 4, bytes += 4, given += 4)
      *(uint32_t *)bytes = *(const uint32_t *)given;
  while (size--) *bytes++ = *given++;
  return to;
}

static void print(const char *text) {
  while (*text) {
    while (*UART & 1) {
    }
    *UART = (uint8_t)*text++;
  }
}

static void print_number(uint32_t number) {
  char text[9], *first = text + 8;
  *first = 0;
  do *--first = "0123456789abcdef"[number & 15];
  while (number >>= 4);
  print(first);
}

static void fail(const char *what, uint32_t number) {
  print(what);
  print(" failed with ");
  print_number(number);
  print("\n");
  *FINISH = 1;
  for (;;) {
  }
}

static void check(const char *what, zeroskip_status_t status) {
  if (status != ZEROSKIP_OK) fail(what, (uint32_t)status);
}

/* Wait until the chip interrupts, and has come to an end; then let it interrupt again. An interrupt
 * may still be that of an inference which was found done before it came. */
static zeroskip_status_t wait_for_interrupt(zeroskip_chip_t *chip) {
  zeroskip_status_t status;
  do {
    while (!interrupts) {
    }
    interrupts = 0;
    status = zeroskip_poll(chip);
    set_mask(1);
  } while (status == ZEROSKIP_RUNNING);
  return status;
}

/* The chip must not interrupt where the driver waits by itself. */
static void load(zeroskip_chip_t *chip, const void *bytes) {
  zeroskip_interrupts(chip, 0);
  check("load", zeroskip_load(chip, bytes));
  zeroskip_interrupts(chip, 1);
}

static uint32_t run(zeroskip_chip_t *chip, const int32_t *input, uint32_t outputs, int32_t *values) {
  uint32_t best = 0;
  check("put", zeroskip_put(chip, input));
  check("start", zeroskip_start(chip));
  check("wait", wait_for_interrupt(chip));
  check("get", zeroskip_get(chip, values));
  for (uint32_t k = 1; k < outputs; k++)
    if (values[k] > values[best]) best = k;
  return best;
}

int main(void) {
  static int32_t values[MOST_OUTPUTS];
  zeroskip_chip_t chip;
  set_mask(1);
  __asm__ volatile("csrw mie, %0" : : "r"(1u << 11));
  __asm__ volatile("csrsi mstatus, 8");
  for (uint32_t number = 0; number < NETWORKS; number++) {
    const network_t *network = networks + number;
    void *memory = (void *)(uintptr_t)network->image->base;
    check("open", zeroskip_open(&chip, CHIP, memory, network->image));
    load(&chip, network->bytes);
    print(network->name);
    print(":");
    const int32_t *input = network->inputs;
    for (uint32_t k = 0; k < network->count; k++, input += network->image->input.elements) {
      print(" ");
      print_number(run(&chip, input, network->image->output.elements, values));
    }
    print("\n");
  }

  /* The last network once more, from a memory that fails where the input is. */
  const network_t *network = networks + NETWORKS - 1;
  uint32_t command;
  load(&chip, 0);
  *FAULT = ((uint32_t)network->image->base + network->image->input_offset[0]) | 1;
  check("put", zeroskip_put(&chip, network->inputs));
  check("start", zeroskip_start(&chip));
  zeroskip_status_t status = wait_for_interrupt(&chip);
  if (status != ZEROSKIP_FAILED) fail("the fault", (uint32_t)status);
  print("error ");
  print_number(zeroskip_error(&chip, &command));
  *FAULT = 0;
  load(&chip, 0);
  print(", then ");
  print_number(run(&chip, network->inputs, network->image->output.elements, values));
  print("\n");
  *FINISH = 0;
  for (;;) {
  }
}
