/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_SIGNALS_REAL_H
#define SHIM_SIGNALS_REAL_H

#include <signal.h>

#include "masks.h"

/* libc's functions, or those of the next library that interposes them. */
struct signal_functions {
#define SIGNAL_FUNCTION(name, result, arguments) result(*name) arguments;
#include "signals.def"
#define MASK_FUNCTION(name, result, arguments) result(*name) arguments;
#include "masks.def"
};
const struct signal_functions *signals_real(void);

#endif
