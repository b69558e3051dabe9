/* SPDX-License-Identifier: Apache-2.0 */
/* The call stack of this thread, from the unwind tables of the loaded objects. */
#ifndef SHIM_STACK_H
#define SHIM_STACK_H

#include <stdint.h>

/* Finds the loaded objects; early, while no other thread can hold the loader's lock. */
void stack_prepare(void);
/* Forgets known stacks if objects were unloaded. Takes the loader's lock. */
void stack_refresh(void);
/* Id of the stack in the trace, 0: none. Also keeps the module map up to date. */
uint32_t stack_take(void);

#endif
