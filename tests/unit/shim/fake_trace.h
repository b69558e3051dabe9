/* SPDX-License-Identifier: Apache-2.0 */
/* A trace in the memory of a test, without a file. */
#ifndef TESTS_UNIT_SHIM_FAKE_TRACE_H
#define TESTS_UNIT_SHIM_FAKE_TRACE_H

#include <stdlib.h>

#include "layout.h"
#include "mapping.h"
#include "tlstall/environment.h"

/* A new one, in place of the last. */
static inline void fake_trace(void)
{
	static struct identity identity = {.state = IDENTITY_KNOWN};
	struct layout layout = layout_plan(TLSTALL_SIZE_MIN);
	char *base = calloc(1, layout.size);

	free(mapping.header);
	mapping.header = (struct tlstall_header *)base;
	layout_write(&layout, mapping.header);
	mapping.size = layout.size;
	mapping.handshakes = layout_section(&layout, base, TLSTALL_SECTION_HANDSHAKES);
	mapping.modules = layout_section(&layout, base, TLSTALL_SECTION_MODULES);
	mapping.stacks = layout_section(&layout, base, TLSTALL_SECTION_STACKS);
	mapping.slot_count = layout.section[TLSTALL_SECTION_HANDSHAKES].count;
	mapping.module_room = layout.section[TLSTALL_SECTION_MODULES].count;
	mapping.stack_room = layout.section[TLSTALL_SECTION_STACKS].count;
	mapping_process = &identity;
}

#endif
