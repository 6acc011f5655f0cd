/* Gives accesses to registers to whoever simulates them. */

#include "program.h"

uint32_t (*shim_read_hook)(uintptr_t);
void (*shim_write_hook)(uintptr_t, uint32_t);

uint32_t shim_read(volatile uint32_t *pointer) { return shim_read_hook((uintptr_t)pointer); }

void shim_write(volatile uint32_t *pointer, uint32_t value) {
  shim_write_hook((uintptr_t)pointer, value);
}
