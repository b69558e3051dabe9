/* SPDX-License-Identifier: Apache-2.0 */
/* What masks.def lists, under names that no header has. */
#ifndef SHIM_MASKS_H
#define SHIM_MASKS_H

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <ucontext.h>

#define MASK_FUNCTION(name, result, arguments)                                                     \
	result mask_##name arguments __asm__(#name) __attribute__((visibility("default")));
#include "masks.def"

#endif
