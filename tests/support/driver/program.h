/* What the shim offers to the driver in the place of registers that are memory. */

#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdint.h>

uint32_t shim_read(volatile uint32_t *pointer);
void shim_write(volatile uint32_t *pointer, uint32_t value);

#define ZEROSKIP_READ32(pointer) shim_read(pointer)
#define ZEROSKIP_WRITE32(pointer, value) shim_write(pointer, value)

#endif
