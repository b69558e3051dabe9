/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols/origin.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libelf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of the trace that was asked about last: traces are exported one after the other. */
static struct {
	uint64_t made_ns; /* when its file was made */
	uint32_t pid, image;
	struct trace_modules modules;
	char build[ORIGIN_SIZE];
} known;

static void read_modules(struct trace *trace)
{
	const struct tlstall_header *header = trace_header(trace);

	if (known.made_ns == header->first.realtime_ns && known.pid == header->pid &&
	    known.image == header->image) {
		uint32_t count = known.modules.count;

		if (count == header->module_count && (!count || known.modules.list[count - 1].end))
			return;
	} else {
		known.build[0] = '\0';
	}
	known.made_ns = header->first.realtime_ns;
	known.pid = header->pid;
	known.image = header->image;
	trace_modules_free(&known.modules);
	trace_modules(trace, &known.modules);
}

/* ---- the build ------------------------------------------------------------------------- */

static void write_build(const uint8_t *id, size_t size)
{
	for (size_t i = 0; i < size && i * 2 + 3 < ORIGIN_SIZE; i++)
		snprintf(known.build + i * 2, 3, "%02x", id[i]);
}

static void ask_modules(const char *program)
{
	const struct tlstall_module *list = known.modules.list;

	for (uint32_t i = 0; i < known.modules.count; i++)
		if (!strcmp(list[i].path, program))
			write_build(list[i].build_id, list[i].build_id_size);
}

/* The program's file itself, whatever has its name now. */
static void ask_process(pid_t here)
{
	char path[32];
	const void *id;
	ssize_t size;
	Elf *elf;
	int file;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)here);
	file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (file < 0)
		return;
	elf_version(EV_CURRENT);
	elf = elf_begin(file, ELF_C_READ, NULL);
	size = elf ? dwelf_elf_gnu_build_id(elf, &id) : -1;
	if (size > 0)
		write_build(id, (size_t)size);
	elf_end(elf);
	close(file);
}

const char *origin_build(struct trace *trace, pid_t here, char text[ORIGIN_SIZE])
{
	read_modules(trace);
	if (!known.build[0])
		ask_modules(trace_header(trace)->program);
	if (!known.build[0] && here && trace_alive(trace, 0))
		ask_process(here);
	memcpy(text, known.build, ORIGIN_SIZE);
	return text;
}

/* ---- the caller -------------------------------------------------------------------------- */

static bool is_ours(const char *name)
{
	return !strncmp(name, "libssl", 6) || !strncmp(name, "libcrypto", 9) ||
	       !strncmp(name, "libtlstall", 10);
}

const char *origin_caller(struct trace *trace, uint32_t id, char text[ORIGIN_SIZE])
{
	struct tlstall_stack stack;

	text[0] = '\0';
	read_modules(trace);
	if (trace_stack(trace, id, &stack))
		return text;
	for (uint32_t i = 0; i < stack.count; i++) {
		const struct tlstall_module *module = trace_module_at(&known.modules, &stack, stack.frames[i] - 1);
		const char *slash = module ? strrchr(module->path, '/') : NULL;
		const char *name = slash ? slash + 1 : module ? module->path : "";

		if (!module || is_ours(name))
			continue;
		snprintf(text, ORIGIN_SIZE, "%.40s+0x%" PRIx64, name,
			 stack.frames[i] - module->bias);
		break;
	}
	return text;
}
