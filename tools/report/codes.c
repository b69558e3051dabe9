/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/codes.h"

#define PATH_FUNCTIONS 3 /* of a path: enough to distinguish code, short enough for a table */
#define TEXT_SIZE 512

struct frame_name {
	uint32_t full;	   /* with module, file and line */
	uint32_t function; /* 0: inside OpenSSL */
	uint32_t site;	   /* function or module */
};

/* ---- one frame ------------------------------------------------------------- */

/* A key that is the same for the same place in the same file, in every process. */
static void frame_key(const struct tlstall_module *module, uint64_t address, char key[TEXT_SIZE])
{
	int used = 0;

	if (!module) {
		snprintf(key, TEXT_SIZE, "@%" PRIx64, address);
		return;
	}
	for (uint32_t i = 0; i < module->build_id_size && i < sizeof(module->build_id); i++)
		used += snprintf(key + used, (size_t)(TEXT_SIZE - used), "%02x",
				 module->build_id[i]);
	snprintf(key + used, (size_t)(TEXT_SIZE - used), "%.*s@%" PRIx64, (int)sizeof(module->path),
		 module->path, address - module->bias);
}

static bool is_openssl(const char *module)
{
	return module && (!strncmp(module, "libssl.", 7) || !strncmp(module, "libcrypto.", 10) ||
			  !strncmp(module, "libtlstall.", 11));
}

static struct symbols *code_symbols(struct code_reader *reader)
{
	if (!reader->symbols)
		reader->symbols = symbols_of_trace(reader->trace);
	return reader->symbols;
}

static struct frame_name name_frame(struct code_reader *reader, const struct tlstall_stack *stack,
				    uint32_t frame)
{
	uint64_t address = stack->frames[frame];
	char text[TEXT_SIZE];
	struct symbol symbol = {0};
	struct frame_name name;

	if (code_symbols(reader))
		symbols_find_frame(reader->symbols, stack, frame, &symbol);
	symbols_format(&symbol, address, text, sizeof(text));
	name.full = strings_any(reader->texts, text);
	name.function = name.full;
	if (is_openssl(symbol.module))
		name.function = 0;
	else if (symbol.function)
		name.function = strings_any(reader->texts, symbol.function);
	name.site = symbol.function || !symbol.module ? name.function
						      : strings_any(reader->texts, symbol.module);
	return name;
}

/* The frame's name, looked up once for all traces; NULL: out of memory. */
static const struct frame_name *frame_name(struct code_reader *reader,
					   const struct tlstall_stack *stack, uint32_t frame)
{
	uint64_t address = stack->frames[frame];
	struct codes *codes = reader->codes;
	char key[TEXT_SIZE];
	uint32_t before = codes->frame_keys.count, id;

	frame_key(trace_module_at(&reader->modules, stack, address - 1), address, key);
	id = strings_id(&codes->frame_keys, key);
	if (id >= codes->name_room) {
		size_t room = codes->name_room ? codes->name_room * 2 : 256;
		struct frame_name *names = realloc(codes->names, room * sizeof(*names));

		codes->stack_keys.failed |= !names;
		if (!names)
			return NULL;
		codes->names = names;
		codes->name_room = room;
	}
	if (id >= before)
		codes->names[id] = name_frame(reader, stack, frame);
	return id ? &codes->names[id] : NULL;
}

/* ---- one stack --------------------------------------------------------------- */

/* Appends to a path if there is room. */
static void extend(char path[TEXT_SIZE], const char *function)
{
	size_t used = strlen(path);

	snprintf(path + used, TEXT_SIZE - used, "%s%s", used ? " < " : "", function);
}

static int add_code(struct codes *codes, const struct code *code)
{
	if (codes->count == codes->room) {
		uint32_t room = codes->room ? codes->room * 2 : 64;
		struct code *list = realloc(codes->list, room * sizeof(*list));

		if (!list)
			return -1;
		codes->list = list;
		codes->room = room;
	}
	codes->list[codes->count++] = *code;
	return 0;
}

/* Returns an equal stack of an earlier trace, or a new entry; 0: out of memory. */
static uint32_t intern_code(struct code_reader *reader, const uint32_t *frames, uint32_t count,
			    const char *path, uint32_t site)
{
	struct codes *codes = reader->codes;
	char key[TLSTALL_STACK_FRAMES * 11 + 1] = "";
	uint32_t before = codes->stack_keys.count, id;
	struct code code = {.count = count, .site = site};
	int used = 0;

	for (uint32_t i = 0; i < count; i++)
		used += snprintf(key + used, sizeof(key) - (size_t)used, "%" PRIu32 ",", frames[i]);
	id = strings_id(&codes->stack_keys, key);
	if (id < before || !id)
		return id;
	code.path = strings_any(reader->texts, path);
	code.frames = malloc(count * sizeof(*frames));
	if (code.frames)
		memcpy(code.frames, frames, count * sizeof(*frames));
	if (!code.frames || add_code(codes, &code) < 0) {
		free(code.frames);
		codes->stack_keys.failed = true;
	}
	return codes->stack_keys.failed ? 0 : id;
}

static uint32_t make_code(struct code_reader *reader, const struct tlstall_stack *stack)
{
	uint32_t frames[TLSTALL_STACK_FRAMES], count = 0, site = 0;
	char path[TEXT_SIZE] = "";
	unsigned functions = 0;

	for (; count < stack->count && count < TLSTALL_STACK_FRAMES; count++) {
		const struct frame_name *name = frame_name(reader, stack, count);
		const char *function;

		if (!name)
			return 0;
		frames[count] = name->full;
		function = strings_text(reader->texts, name->function);
		if (!name->function || functions == PATH_FUNCTIONS)
			continue;
		extend(path, function);
		site = site ? site : name->site;
		/* main's callers are the same everywhere */
		functions = strcmp(function, "main") ? functions + 1 : PATH_FUNCTIONS;
	}
	return count ? intern_code(reader, frames, count, path, site) : 0;
}

uint32_t code_of(struct code_reader *reader, uint32_t stack)
{
	struct tlstall_stack copy;

	if (!stack || stack >= reader->known_count)
		return 0;
	if (!reader->known[stack]) {
		reader->known[stack] = 1;
		if (trace_stack(reader->trace, stack, &copy) == 0)
			reader->known[stack] += make_code(reader, &copy);
	}
	return reader->known[stack] - 1;
}

uint32_t code_path(const struct code_reader *reader, uint32_t code)
{
	return code < reader->codes->count ? reader->codes->list[code].path : 0;
}

uint32_t code_site(const struct code_reader *reader, uint32_t code)
{
	return code < reader->codes->count ? reader->codes->list[code].site : 0;
}

/* ---- life ------------------------------------------------------------------------ */

void code_reader_open(struct code_reader *reader, struct codes *codes, struct strings *texts,
		      struct trace *trace)
{
	const struct code none = {0};

	*reader = (struct code_reader){.codes = codes, .texts = texts, .trace = trace};
	if (!codes->count) {
		strings_id(&codes->stack_keys, NULL);
		strings_id(&codes->frame_keys, NULL);
		codes->stack_keys.failed |= add_code(codes, &none) < 0;
	}
	reader->known_count = trace_header(trace)->section[TLSTALL_SECTION_STACKS].count;
	reader->known = calloc(reader->known_count, sizeof(*reader->known));
	codes->stack_keys.failed |= !reader->known && reader->known_count;
	if (!reader->known)
		reader->known_count = 0;
	trace_modules(trace, &reader->modules);
}

void code_reader_close(struct code_reader *reader)
{
	symbols_free(reader->symbols);
	trace_modules_free(&reader->modules);
	free(reader->known);
	*reader = (struct code_reader){0};
}

void codes_free(struct codes *codes)
{
	for (uint32_t i = 0; i < codes->count; i++)
		free(codes->list[i].frames);
	free(codes->list);
	free(codes->names);
	strings_free(&codes->frame_keys);
	strings_free(&codes->stack_keys);
	*codes = (struct codes){0};
}
