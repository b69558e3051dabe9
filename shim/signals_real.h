/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_SIGNALS_REAL_H
#define SHIM_SIGNALS_REAL_H

#include <signal.h>

/* libc's functions, or those of the next library that interposes them. */
struct signal_functions {
#define SIGNAL_FUNCTION(name, result, arguments) result(*name) arguments;
#include "signals.def"
};
const struct signal_functions *signals_real(void);

#endif
