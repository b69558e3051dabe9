/* SPDX-License-Identifier: Apache-2.0 */
/* The small tables: names, processes, modules, stacks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace/internal.h"

/* Ids have at most 16 bits. */
#define TEXTS_MAX 65536u

/* ---- texts ------------------------------------------------------------------ */

static struct table_text *find_text(struct trace *trace, struct text_table *table,
				    enum tlstall_section_id section, unsigned id)
{
	uint32_t present = trace->present[section];

	if (!table->texts) {
		table->count = present < TEXTS_MAX ? present : TEXTS_MAX;
		table->texts = calloc(table->count, sizeof(*table->texts));
		trace->starved |= !table->texts && table->count;
	}
	return table->texts && id < table->count ? &table->texts[id] : NULL;
}

static const char *string_of(struct trace *trace, struct text_table *table,
			     enum tlstall_section_id section, unsigned id)
{
	struct table_text *text = id ? find_text(trace, table, section, id) : NULL;
	struct tlstall_string string;

	if (!text)
		return "";
	if (text->known)
		return text->text;
	if (trace_read_committed(trace, section, id, &string, sizeof(string)))
		return "";
	memcpy(text->text, string.text, sizeof(string.text));
	text->known = true;
	return text->text;
}

const char *trace_state_name(struct trace *trace, unsigned id)
{
	return string_of(trace, &trace->states, TLSTALL_SECTION_STATES, id);
}

const char *trace_string(struct trace *trace, unsigned id)
{
	return string_of(trace, &trace->strings, TLSTALL_SECTION_STRINGS, id);
}

bool trace_starved(const struct trace *trace)
{
	return trace->starved;
}

/* ---- functions ---------------------------------------------------------------- */

static const struct table_text *function(struct trace *trace, unsigned id)
{
	struct table_text *text = NULL;
	struct tlstall_function function;

	if (id < trace->header.function_count && id < sizeof(trace->kinds))
		text = find_text(trace, &trace->functions, TLSTALL_SECTION_FUNCTIONS, id);
	if (!text || text->known)
		return text;
	if (trace_read_entry(trace, TLSTALL_SECTION_FUNCTIONS, id, &function, sizeof(function)))
		return NULL;
	memcpy(text->text, function.name, sizeof(function.name));
	trace->kinds[id] = function.kind <= TLSTALL_KIND_OTHER ? function.kind : 0;
	text->known = true;
	return text;
}

const char *trace_function_name(struct trace *trace, unsigned id)
{
	const struct table_text *text = function(trace, id);

	return text ? text->text : "";
}

enum tlstall_function_kind trace_function_kind(struct trace *trace, unsigned id)
{
	return function(trace, id) ? (enum tlstall_function_kind)trace->kinds[id] : 0;
}

/* ---- modules, stacks --------------------------------------------------- */

int trace_module(struct trace *trace, unsigned index, struct tlstall_module *out)
{
	int result = trace_read_committed(trace, TLSTALL_SECTION_MODULES, index, out, sizeof(*out));

	if (result)
		return result;
	if (out->build_id_size > sizeof(out->build_id))
		out->build_id_size = 0;
	TERMINATE(out->path);
	return 0;
}

int trace_stack(struct trace *trace, unsigned id, struct tlstall_stack *out)
{
	int result = 1;

	if (id)
		result = trace_read_committed(trace, TLSTALL_SECTION_STACKS, id, out, sizeof(*out));
	if (result)
		return result;
	if (out->count > TLSTALL_STACK_FRAMES)
		out->count = TLSTALL_STACK_FRAMES;
	if (trace->header.minor < 4)
		out->hash &= UINT64_MAX >> 16;
	return 0;
}

/* ---- the modules together ---------------------------------------------- */

int trace_modules(struct trace *trace, struct trace_modules *modules)
{
	uint32_t count = trace->present[TLSTALL_SECTION_MODULES];

	*modules = (struct trace_modules){0};
	if (count > trace->header.module_count)
		count = trace->header.module_count;
	if (!count)
		return 0;
	modules->list = calloc(count, sizeof(*modules->list));
	if (!modules->list)
		return -ENOMEM;
	for (; modules->count < count; modules->count++) {
		struct tlstall_module *module = &modules->list[modules->count];

		if (trace_module(trace, modules->count, module))
			*module = (struct tlstall_module){0};
	}
	return 0;
}

const struct tlstall_module *trace_module_at(const struct trace_modules *modules,
					     const struct tlstall_stack *stack, uint64_t address)
{
	uint32_t chosen = stack ? TLSTALL_STACK_MODULE(stack->hash) : 0;
	const struct tlstall_module *first = NULL;
	bool several = false;

	for (uint32_t i = 0; i < modules->count; i++) {
		const struct tlstall_module *module = &modules->list[i];

		if (address - module->start >= module->end - module->start)
			continue;
		if (i + 1 == chosen)
			return module;
		several = first != NULL;
		first = first ? first : module;
	}
	return several && chosen == TLSTALL_SEVERAL_MODULES ? NULL : first;
}

void trace_modules_free(struct trace_modules *modules)
{
	free(modules->list);
	*modules = (struct trace_modules){0};
}
