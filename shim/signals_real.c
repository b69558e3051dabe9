/* SPDX-License-Identifier: Apache-2.0 */
#include "signals_real.h"

#include <stdbool.h>
#include <stddef.h>

#include "elf.h"
#include "settings.h"

static struct signal_functions real;
#define COUNT (sizeof(real) / sizeof(void *))
static bool known;

/* Resolves all of them at the first call: a later call may come from a signal handler. */
static void resolve(void)
{
	static const char names[][ELF_NAME] = {
#define SIGNAL_FUNCTION(name, result, arguments) #name,
#include "signals.def"
#define MASK_FUNCTION(name, result, arguments) #name,
#include "masks.def"
	};
	void **found = (void **)&real;

	if (settings.known)
		elf_find_all(names, COUNT, found);
	for (size_t i = 0; !settings.known && i < COUNT; i++)
		found[i] = elf_find_early(names[i]);
	__atomic_store_n(&known, true, __ATOMIC_RELEASE);
}

const struct signal_functions *signals_real(void)
{
	if (__builtin_expect(!__atomic_load_n(&known, __ATOMIC_ACQUIRE), 0))
		resolve();
	return &real;
}
