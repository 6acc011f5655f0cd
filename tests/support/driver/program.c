/* What a user of the driver writes: inputs in, two at a time, outputs out; and what may go wrong. */

#include "program.h"

#include "zeroskip.h"
#include "zeroskip_image.h"

#define FAIL_UNLESS(condition) \
  if (!(condition)) return __LINE__

int run_inputs(zeroskip_chip_t *chip, const int32_t *inputs, int count, int32_t *outputs) {
  int given = 0, taken = 0;
  while (taken < count) {
    while (given < count && zeroskip_put(chip, inputs) == ZEROSKIP_OK) {
      FAIL_UNLESS(zeroskip_start(chip) == ZEROSKIP_OK);
      inputs += ZEROSKIP_INPUTS;
      given++;
    }
    FAIL_UNLESS(zeroskip_wait(chip) == ZEROSKIP_OK);
    FAIL_UNLESS(zeroskip_get(chip, outputs) == ZEROSKIP_OK);
    outputs += ZEROSKIP_OUTPUTS;
    taken++;
  }
  return 0;
}

int run_all(void *registers, void *memory, const void *image, const int32_t *inputs, int count,
            int32_t *outputs) {
  zeroskip_chip_t chip;
  FAIL_UNLESS(zeroskip_open(&chip, registers, memory, &zeroskip_image) == ZEROSKIP_OK);
  FAIL_UNLESS(zeroskip_load(&chip, image) == ZEROSKIP_OK);
  FAIL_UNLESS(zeroskip_start(&chip) == ZEROSKIP_NOTHING);
  FAIL_UNLESS(zeroskip_poll(&chip) == ZEROSKIP_NOTHING);
  FAIL_UNLESS(zeroskip_get(&chip, outputs) == ZEROSKIP_NOTHING);
  zeroskip_interrupts(&chip, 1);
  return run_inputs(&chip, inputs, count, outputs);
}

/* Input and output lie behind the image, and its buffers are not used. */
int run_anywhere(void *registers, uint8_t *memory, const void *image, const int32_t *inputs,
                 int32_t *outputs) {
  zeroskip_chip_t chip, other;
  const zeroskip_image_t *network = &zeroskip_image;
  FAIL_UNLESS(zeroskip_open(&chip, registers, memory, network) == ZEROSKIP_OK);
  FAIL_UNLESS(zeroskip_load(&chip, image) == ZEROSKIP_OK);
  uint32_t input = network->bytes, output = input + ((network->input.bytes + 63) & ~63u);
  FAIL_UNLESS(zeroskip_window(&chip, network->base, output + network->output.bytes) ==
              ZEROSKIP_OK);
  other = chip;
  FAIL_UNLESS(zeroskip_put(&other, inputs) == ZEROSKIP_OK);
  for (uint32_t k = 0; k < network->input.bytes; k++) {
    memory[input + k] = memory[network->input_offset[0] + k];
    memory[network->input_offset[0] + k] = 0x5a;
  }
  FAIL_UNLESS(zeroskip_start_at(&chip, network->base + input, network->base + output) ==
              ZEROSKIP_OK);
  FAIL_UNLESS(zeroskip_window(&chip, 0, 0) == ZEROSKIP_BUSY);
  FAIL_UNLESS(zeroskip_wait(&chip) == ZEROSKIP_OK);
  FAIL_UNLESS(zeroskip_get(&chip, NULL) == ZEROSKIP_OK);
  FAIL_UNLESS(zeroskip_poll(&chip) == ZEROSKIP_NOTHING);
  /* The driver reads it where its buffer would be. */
  other = chip;
  other.taken = 0;
  for (uint32_t k = 0; k < network->output.bytes; k++) {
    FAIL_UNLESS(memory[network->output_offset[0] + k] == 0);
    memory[network->output_offset[0] + k] = memory[output + k];
  }
  FAIL_UNLESS(zeroskip_get(&other, outputs) == ZEROSKIP_OK);
  /* Outside the window, nothing is read: error WINDOW. */
  FAIL_UNLESS(zeroskip_start_at(&chip, network->base + output + 4096, network->base) ==
              ZEROSKIP_OK);
  FAIL_UNLESS(zeroskip_wait(&chip) == ZEROSKIP_FAILED);
  FAIL_UNLESS(zeroskip_error(&chip, NULL) == 5);
  return 0;
}

/* A chip of another version, and an image for another array, are refused; nothing is started. */
int run_refusals(void *registers, void *memory) {
  zeroskip_chip_t chip;
  zeroskip_image_t other = zeroskip_image;
  other.array ^= 1;
  FAIL_UNLESS(zeroskip_open(&chip, registers, memory, &other) == ZEROSKIP_OTHER_ARRAY);
  other = zeroskip_image;
  other.version++;
  FAIL_UNLESS(zeroskip_open(&chip, registers, memory, &other) == ZEROSKIP_OTHER_VERSION);
  other = zeroskip_image;
  other.beat_bytes *= 2;
  FAIL_UNLESS(zeroskip_open(&chip, registers, memory, &other) == ZEROSKIP_OTHER_VERSION);
  other = zeroskip_image;
  other.anywhere.bytes = 0;
  FAIL_UNLESS(zeroskip_open(&chip, registers, memory, &other) == ZEROSKIP_OK);
  FAIL_UNLESS(zeroskip_start_at(&chip, 0, 0) == ZEROSKIP_FIXED);
  /* VERSION is where IDENTITY would be. */
  volatile uint32_t *shifted = (volatile uint32_t *)registers - 1;
  FAIL_UNLESS(zeroskip_open(&chip, shifted, memory, &zeroskip_image) == ZEROSKIP_NOT_A_CHIP);
  return 0;
}

/* One list is broken: its inference fails with a reason, the one before it is done, and both run
 * again afterwards. */
int run_failure(void *registers, uint8_t *memory, const void *image, const int32_t *inputs,
                int32_t *outputs) {
  zeroskip_chip_t chip;
  uint32_t command;
  FAIL_UNLESS(zeroskip_open(&chip, registers, memory, &zeroskip_image) == ZEROSKIP_OK);
  FAIL_UNLESS(zeroskip_load(&chip, image) == ZEROSKIP_OK);
  uint8_t *operation = memory + zeroskip_image.infer[1].offset + 16;
  uint8_t good = *operation;
  *operation = 99;
  for (int k = 0; k < 2; k++) {
    FAIL_UNLESS(zeroskip_put(&chip, inputs) == ZEROSKIP_OK);
    FAIL_UNLESS(zeroskip_start(&chip) == ZEROSKIP_OK);
  }
  FAIL_UNLESS(zeroskip_put(&chip, inputs) == ZEROSKIP_BUSY);
  FAIL_UNLESS(zeroskip_wait(&chip) == ZEROSKIP_OK);
  FAIL_UNLESS(zeroskip_get(&chip, outputs) == ZEROSKIP_OK);
  FAIL_UNLESS(zeroskip_wait(&chip) == ZEROSKIP_FAILED);
  FAIL_UNLESS(zeroskip_error(&chip, &command) == 3 && command == 1);
  FAIL_UNLESS(zeroskip_poll(&chip) == ZEROSKIP_NOTHING);
  *operation = good;
  FAIL_UNLESS(zeroskip_load(&chip, NULL) == ZEROSKIP_OK);
  FAIL_UNLESS(zeroskip_error(&chip, &command) == 0);
  return run_inputs(&chip, inputs, 2, outputs);
}
