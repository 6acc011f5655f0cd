/* Driver of a Zeroskip chip that runs one network from memory.
 *
 *   zeroskip_chip_t chip;
 *   zeroskip_open(&chip, registers, memory, &zeroskip_image);   is this the chip, for this image?
 *   zeroskip_load(&chip, image_bytes);                          copies it, and loads the weights
 *   zeroskip_put(&chip, values);                                one input, in fixed point
 *   zeroskip_start(&chip);
 *   zeroskip_wait(&chip);                                       or zeroskip_poll at an interrupt
 *   zeroskip_get(&chip, values);
 *
 * As many inputs as there are buffers may be put and started before the first is waited for;
 * outputs come in the order of the starts. No function allocates memory or calls the C library,
 * but for memcpy. */

#ifndef ZEROSKIP_H
#define ZEROSKIP_H

#include <stddef.h>
#include <stdint.h>

#include "zeroskip_registers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What functions return; 0 is success. */
typedef enum {
  ZEROSKIP_OK = 0,
  ZEROSKIP_NOT_A_CHIP,    /* IDENTITY is not that of Zeroskip */
  ZEROSKIP_OTHER_VERSION, /* registers of another version, or a beat of another width */
  ZEROSKIP_OTHER_ARRAY,   /* the image is for an array of other sizes */
  ZEROSKIP_BUSY,          /* no room for a further start, or not idle where that is needed */
  ZEROSKIP_RUNNING,       /* the oldest inference is not done yet */
  ZEROSKIP_NOTHING,       /* nothing was started */
  ZEROSKIP_FAILED,        /* an inference was abandoned: zeroskip_error says why */
  ZEROSKIP_FIXED          /* the image's buffers are the only ones that its lists know */
} zeroskip_status_t;

/* A command list in memory, at an offset from the image's first byte. */
typedef struct {
  uint32_t offset, bytes;
} zeroskip_list_t;

/* Values of a tensor. That of element i is `bits` wide, two's complement with `frac` fraction bits,
 * from bit offsets[i] of its buffer up; without offsets, one follows the other. */
typedef struct {
  uint32_t elements, bits, bytes;
  int32_t frac;
  const uint32_t *offsets;
} zeroskip_tensor_t;

#define ZEROSKIP_BUFFERS 2

/* A network in memory, as it was compiled. */
typedef struct {
  uint32_t version, array, beat_bytes;
  uint64_t base;          /* bus address that the image was laid out for */
  uint32_t bytes;         /* of memory that it takes, the list below with it */
  uint32_t loaded_bytes;  /* its first bytes, those of memory.bin; the rest is 0 */
  zeroskip_list_t setup, infer[ZEROSKIP_BUFFERS];
  zeroskip_list_t anywhere;      /* an inference whose input and output are where a start says;
                                    of no bytes if this network has none */
  const uint8_t *anywhere_bytes;
  uint32_t input_offset[ZEROSKIP_BUFFERS], output_offset[ZEROSKIP_BUFFERS];
  zeroskip_tensor_t input, output;
} zeroskip_image_t;

typedef struct {
  volatile uint32_t *registers;
  uint8_t *memory; /* where this processor sees the image's first byte */
  const zeroskip_image_t *image;
  uint32_t put, started, taken; /* inputs, starts, and outputs since the chip was loaded */
  uint32_t done, failed;        /* DONE when it was loaded; an inference failed, not yet told */
} zeroskip_chip_t;

/* Check that `registers` is a chip that `image` was compiled for; nothing is written. */
zeroskip_status_t zeroskip_open(zeroskip_chip_t *chip, volatile void *registers, void *memory,
                                const zeroskip_image_t *image);

/* Put the image into memory, unless `bytes` is NULL, and load what stays in the chip. */
zeroskip_status_t zeroskip_load(zeroskip_chip_t *chip, const void *bytes);

/* Put an input into the next free buffer: `elements` values. */
zeroskip_status_t zeroskip_put(zeroskip_chip_t *chip, const int32_t *values);

/* Start the inference of the oldest input that was put and not started. If one failed before,
 * zeroskip_poll has to be asked for what is left of those before it, and then tells that. */
zeroskip_status_t zeroskip_start(zeroskip_chip_t *chip);

/* Let the chip use this memory on its bus, instead of the image's alone; while it is idle. */
zeroskip_status_t zeroskip_window(zeroskip_chip_t *chip, uint64_t first, uint64_t bytes);

/* Start an inference of an input that lies at a bus address, as the rows of image->input lie in
 * their buffer; its output is written to another, in the same way. Both are multiples of
 * beat_bytes, in the window. Nothing may be put that is not started. Take the output by
 * zeroskip_get with NULL, which copies nothing. Networks of which the chip does an inference again
 * where activations find no room are ZEROSKIP_FIXED: compile with --set ram_margin=100. */
zeroskip_status_t zeroskip_start_at(zeroskip_chip_t *chip, uint64_t input, uint64_t output);

/* Look whether the oldest inference is done, and clear the interrupt. After ZEROSKIP_FAILED, what
 * was put and started is forgotten; if lists load words, as zeroskip_image.h says, load again. */
zeroskip_status_t zeroskip_poll(zeroskip_chip_t *chip);

/* Poll until it is done or failed. */
zeroskip_status_t zeroskip_wait(zeroskip_chip_t *chip);

/* Take the output of the oldest inference, which is done; with NULL, only go on to the next. */
zeroskip_status_t zeroskip_get(zeroskip_chip_t *chip, int32_t *values);

/* Raise the interrupt whenever an inference is done or abandoned, or do not. */
void zeroskip_interrupts(zeroskip_chip_t *chip, int enabled);

/* Return why the last inference failed (0: it did not), and which command of its list. */
uint32_t zeroskip_error(zeroskip_chip_t *chip, uint32_t *command);

#ifdef __cplusplus
}
#endif

#endif
