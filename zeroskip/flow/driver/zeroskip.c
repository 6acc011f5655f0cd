/* Driver of a Zeroskip chip, see zeroskip.h. To reach registers in another way than by a pointer,
 * define ZEROSKIP_READ32(pointer) and ZEROSKIP_WRITE32(pointer, value); where caches are not
 * coherent with the chip's port, or writes may pass each other, ZEROSKIP_BARRIER(). */

#include "zeroskip.h"

/* Of string.h, which freestanding compilers do not have. */
void *memcpy(void *to, const void *from, size_t size);

#ifndef ZEROSKIP_READ32
#define ZEROSKIP_READ32(pointer) (*(pointer))
#define ZEROSKIP_WRITE32(pointer, value) (*(pointer) = (value))
#endif

#ifndef ZEROSKIP_BARRIER
#define ZEROSKIP_BARRIER() __asm__ volatile("" ::: "memory")
#endif

#define REGISTER(chip, name) \
  ((chip)->registers + offsetof(zeroskip_t, name) / sizeof(uint32_t))
#define READ(chip, name) ZEROSKIP_READ32(REGISTER(chip, name))
#define WRITE(chip, name, value) ZEROSKIP_WRITE32(REGISTER(chip, name), (uint32_t)(value))

#define EVENTS (ZEROSKIP__ISR__DONE_bm | ZEROSKIP__ISR__ERROR_bm)

zeroskip_status_t zeroskip_open(zeroskip_chip_t *chip, volatile void *registers, void *memory,
                                const zeroskip_image_t *image) {
  chip->registers = (volatile uint32_t *)registers;
  chip->memory = (uint8_t *)memory;
  chip->image = image;
  chip->put = chip->started = chip->taken = chip->failed = 0;
  if (READ(chip, IDENTITY) != ZEROSKIP__IDENTITY__IDENTITY_reset) return ZEROSKIP_NOT_A_CHIP;
  uint32_t version = READ(chip, VERSION);
  uint32_t beat = (version & ZEROSKIP__VERSION__BEAT_BYTES_bm) >> ZEROSKIP__VERSION__BEAT_BYTES_bp;
  if ((version & ZEROSKIP__VERSION__NUMBER_bm) != image->version || beat != image->beat_bytes)
    return ZEROSKIP_OTHER_VERSION;
  return READ(chip, ARRAY) == image->array ? ZEROSKIP_OK : ZEROSKIP_OTHER_ARRAY;
}

static zeroskip_status_t queue(zeroskip_chip_t *chip, const zeroskip_list_t *list) {
  uint64_t address = chip->image->base + list->offset;
  if (!(READ(chip, CONTROL) & ZEROSKIP__CONTROL__AP_READY_bm)) return ZEROSKIP_BUSY;
  WRITE(chip, LIST, address);
  WRITE(chip, LIST_HIGH, address >> 32);
  WRITE(chip, LIST_BYTES, list->bytes);
  ZEROSKIP_BARRIER();
  WRITE(chip, CONTROL, ZEROSKIP__CONTROL__AP_START_bm);
  chip->started++;
  return ZEROSKIP_OK;
}

zeroskip_status_t zeroskip_window(zeroskip_chip_t *chip, uint64_t first, uint64_t bytes) {
  if (!(READ(chip, CONTROL) & ZEROSKIP__CONTROL__AP_IDLE_bm)) return ZEROSKIP_BUSY;
  WRITE(chip, WINDOW, first);
  WRITE(chip, WINDOW_HIGH, first >> 32);
  WRITE(chip, WINDOW_BYTES, bytes);
  WRITE(chip, WINDOW_BYTES_HIGH, bytes >> 32);
  return ZEROSKIP_OK;
}

zeroskip_status_t zeroskip_load(zeroskip_chip_t *chip, const void *bytes) {
  const zeroskip_image_t *image = chip->image;
  uint32_t control = READ(chip, CONTROL);
  if (!(control & ZEROSKIP__CONTROL__AP_IDLE_bm)) return ZEROSKIP_BUSY;
  if (bytes != NULL) {
    memcpy(chip->memory, bytes, image->loaded_bytes);
    volatile uint8_t *rest = chip->memory; /* so that no compiler makes a memset of it */
    for (uint32_t k = image->loaded_bytes; k < image->anywhere.offset; k++) rest[k] = 0;
    if (image->anywhere.bytes)
      memcpy(chip->memory + image->anywhere.offset, image->anywhere_bytes, image->anywhere.bytes);
  }
  zeroskip_window(chip, image->base, image->bytes);
  WRITE(chip, IER, EVENTS);
  WRITE(chip, ISR, READ(chip, ISR));
  chip->failed = 0;
  chip->started = chip->taken = 0;
  chip->done = READ(chip, DONE);
  zeroskip_status_t status = queue(chip, &image->setup);
  if (status == ZEROSKIP_OK) status = zeroskip_wait(chip);
  chip->put = chip->started = chip->taken = 0;
  chip->done = READ(chip, DONE);
  return status;
}

static uint32_t get_bits(const uint8_t *bytes, uint32_t from, uint32_t count) {
  uint32_t found = 0;
  for (uint32_t k = 0; k < count;) {
    uint32_t place = (from + k) & 7, taken = 8 - place;
    if (taken > count - k) taken = count - k;
    uint32_t byte = (uint32_t)bytes[(from + k) >> 3] >> place;
    found |= (byte & ((1u << taken) - 1)) << k;
    k += taken;
  }
  return found;
}

static void put_bits(uint8_t *bytes, uint32_t from, uint32_t count, uint32_t value) {
  for (uint32_t k = 0; k < count;) {
    uint32_t place = (from + k) & 7, taken = 8 - place;
    if (taken > count - k) taken = count - k;
    uint32_t mask = ((1u << taken) - 1) << place;
    uint8_t *byte = bytes + ((from + k) >> 3);
    *byte = (uint8_t)((*byte & ~mask) | (((value >> k) << place) & mask));
    k += taken;
  }
}

zeroskip_status_t zeroskip_put(zeroskip_chip_t *chip, const int32_t *values) {
  const zeroskip_tensor_t *tensor = &chip->image->input;
  if (chip->put - chip->taken >= ZEROSKIP_BUFFERS) return ZEROSKIP_BUSY;
  uint8_t *buffer = chip->memory + chip->image->input_offset[chip->put % ZEROSKIP_BUFFERS];
  uint32_t from = 0;
  for (uint32_t k = 0; k < tensor->elements; k++, from += tensor->bits)
    put_bits(buffer, tensor->offsets ? tensor->offsets[k] : from, tensor->bits,
             (uint32_t)values[k]);
  ZEROSKIP_BARRIER();
  chip->put++;
  return ZEROSKIP_OK;
}

/* Take the events that came, and clear the interrupt. */
static void note(zeroskip_chip_t *chip) {
  uint32_t events = READ(chip, ISR) & EVENTS;
  if (events) WRITE(chip, ISR, events);
  if (events & ZEROSKIP__ISR__ERROR_bm) chip->failed = 1;
}

zeroskip_status_t zeroskip_start(zeroskip_chip_t *chip) {
  note(chip);
  if (chip->failed) return ZEROSKIP_FAILED;
  if (chip->started == chip->put) return ZEROSKIP_NOTHING;
  return queue(chip, &chip->image->infer[chip->started % ZEROSKIP_BUFFERS]);
}

zeroskip_status_t zeroskip_start_at(zeroskip_chip_t *chip, uint64_t input, uint64_t output) {
  if (!chip->image->anywhere.bytes) return ZEROSKIP_FIXED;
  note(chip);
  if (chip->failed) return ZEROSKIP_FAILED;
  if (chip->put != chip->started) return ZEROSKIP_BUSY;
  WRITE(chip, INPUT, input);
  WRITE(chip, INPUT_HIGH, input >> 32);
  WRITE(chip, OUTPUT, output);
  WRITE(chip, OUTPUT_HIGH, output >> 32);
  zeroskip_status_t status = queue(chip, &chip->image->anywhere);
  if (status == ZEROSKIP_OK) chip->put++;
  return status;
}

zeroskip_status_t zeroskip_poll(zeroskip_chip_t *chip) {
  if (chip->started == chip->taken) return ZEROSKIP_NOTHING;
  note(chip);
  ZEROSKIP_BARRIER();
  if (READ(chip, DONE) - chip->done > chip->taken) return ZEROSKIP_OK;
  if (chip->failed) {
    /* What was queued is gone, and the inputs with it. */
    chip->put = chip->started = chip->taken;
    chip->failed = 0;
    return ZEROSKIP_FAILED;
  }
  return ZEROSKIP_RUNNING;
}

zeroskip_status_t zeroskip_wait(zeroskip_chip_t *chip) {
  zeroskip_status_t status;
  do status = zeroskip_poll(chip);
  while (status == ZEROSKIP_RUNNING);
  return status;
}

zeroskip_status_t zeroskip_get(zeroskip_chip_t *chip, int32_t *values) {
  const zeroskip_tensor_t *tensor = &chip->image->output;
  if (chip->started == chip->taken) return ZEROSKIP_NOTHING;
  if (READ(chip, DONE) - chip->done <= chip->taken) return ZEROSKIP_RUNNING;
  ZEROSKIP_BARRIER();
  const uint8_t *buffer = chip->memory + chip->image->output_offset[chip->taken % ZEROSKIP_BUFFERS];
  uint32_t from = 0;
  for (uint32_t k = 0; values && k < tensor->elements; k++, from += tensor->bits) {
    uint32_t word = get_bits(buffer, tensor->offsets ? tensor->offsets[k] : from, tensor->bits);
    uint32_t sign = 1u << (tensor->bits - 1);
    values[k] = (int32_t)((word ^ sign) - sign);
  }
  chip->taken++;
  return ZEROSKIP_OK;
}

void zeroskip_interrupts(zeroskip_chip_t *chip, int enabled) {
  WRITE(chip, GIE, enabled ? ZEROSKIP__GIE__ENABLE_bm : 0);
}

uint32_t zeroskip_error(zeroskip_chip_t *chip, uint32_t *command) {
  uint32_t error = READ(chip, ERROR);
  if (command != NULL)
    *command = (error & ZEROSKIP__ERROR__COMMAND_bm) >> ZEROSKIP__ERROR__COMMAND_bp;
  return (error & ZEROSKIP__ERROR__CODE_bm) >> ZEROSKIP__ERROR__CODE_bp;
}
