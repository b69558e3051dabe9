/* SPDX-License-Identifier: Apache-2.0 */
#include "entry.h"

#if !defined(__x86_64__)

bool entry_can(void)
{
	return false;
}

bool entry_make(struct entry *entry)
{
	(void)entry;
	return false;
}

#endif
