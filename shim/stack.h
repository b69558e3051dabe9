/* SPDX-License-Identifier: Apache-2.0 */
/* The call stack of this thread, by libunwind, which is loaded when first needed. */
#ifndef SHIM_STACK_H
#define SHIM_STACK_H

#include <stdint.h>

/* Loads libunwind; early, while there is room on the stack, no chroot and no second thread. */
void stack_prepare(void);
/* Id of the stack in the trace, 0: none. Also keeps the module map up to date. */
uint32_t stack_take(void);

#endif
