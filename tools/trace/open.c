/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a trace. Nothing in its header is believed before it has been checked. */
#include <byteswap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "trace/host.h"
#include "trace/internal.h"

/* The least that a section's entries must hold. Later versions may only append. */
static const uint32_t least_size[TLSTALL_SECTION_MAX] = {
	[TLSTALL_SECTION_FUNCTIONS] = sizeof(struct tlstall_function),
	[TLSTALL_SECTION_STATES] = sizeof(struct tlstall_string),
	[TLSTALL_SECTION_STRINGS] = sizeof(struct tlstall_string),
	[TLSTALL_SECTION_PROCESSES] = sizeof(struct tlstall_process),
	[TLSTALL_SECTION_MODULES] = sizeof(struct tlstall_module),
	[TLSTALL_SECTION_STACKS] = sizeof(struct tlstall_stack),
	[TLSTALL_SECTION_HANDSHAKES] = TLSTALL_HANDSHAKE_LEAST,
	[TLSTALL_SECTION_OPENING] = sizeof(struct tlstall_event),
	[TLSTALL_SECTION_REST] = sizeof(struct tlstall_event),
	[TLSTALL_SECTION_LOOKS] = offsetof(struct tlstall_look, enter),
	[TLSTALL_SECTION_HISTORY] = sizeof(struct tlstall_summary),
};
#define ENTRY_SIZE_MAX 4096u

/* ---- validation ----------------------------------------------------------- */

static bool all_zero(const void *start, size_t size)
{
	const char *bytes = start;

	return size == 0 || (!bytes[0] && !memcmp(bytes, bytes + 1, size - 1));
}

static int check_identity(const struct tlstall_header *h, size_t size)
{
	const uint64_t magic = TLSTALL_MAGIC;
	size_t known = size < sizeof(magic) ? size : sizeof(magic);

	/* the magic is stored last */
	if (all_zero(&h->magic, known))
		return TRACE_ERROR_UNFINISHED;
	if (h->magic == bswap_64(magic))
		return TRACE_ERROR_BYTE_ORDER;
	if (memcmp(&h->magic, &magic, known))
		return TRACE_ERROR_MAGIC;
	if (size < offsetof(struct tlstall_header, pointer_size))
		return TRACE_ERROR_SHORT;
	if (h->byte_order == bswap_32(TLSTALL_BYTE_ORDER))
		return TRACE_ERROR_BYTE_ORDER;
	if (h->byte_order != TLSTALL_BYTE_ORDER)
		return TRACE_ERROR_LAYOUT;
	if (h->major != TLSTALL_MAJOR || h->incompat)
		return error_version(h);
	return size < sizeof(*h) ? TRACE_ERROR_SHORT : 0;
}

static int check_section(const struct tlstall_header *h, unsigned id)
{
	const struct tlstall_section *s = &h->section[id];
	bool ring = id == TLSTALL_SECTION_OPENING || id == TLSTALL_SECTION_REST ||
		    id == TLSTALL_SECTION_HISTORY;

	if (s->entry_size < least_size[id] || s->entry_size > ENTRY_SIZE_MAX)
		return TRACE_ERROR_LAYOUT;
	if (s->offset < h->header_size || s->offset > h->file_size ||
	    (uint64_t)s->count * s->entry_size > h->file_size - s->offset)
		return TRACE_ERROR_LAYOUT;
	if (ring && (!s->count || s->count & (s->count - 1)))
		return TRACE_ERROR_LAYOUT;
	return 0;
}

static int check_layout(const struct tlstall_header *h)
{
	int error = 0;

	if (h->header_size < sizeof(*h) || h->section_count < TLSTALL_SECTION_COUNT ||
	    h->section_count > TLSTALL_SECTION_MAX || h->file_size > INT64_MAX)
		return TRACE_ERROR_LAYOUT;
	for (unsigned id = 0; id < TLSTALL_SECTION_COUNT && !error; id++)
		error = check_section(h, id);
	return error;
}

/* ---- what is there ---------------------------------------------------------- */

/* Where the file really ends, or its `file_size` if that comes first. */
static int64_t find_end(const struct trace *trace)
{
	uint64_t there = sizeof(struct tlstall_header), beyond = trace->header.file_size + 1;
	uint64_t at = trace->header.file_size; /* usually all of it is there: one read shows */
	char byte;

	while (beyond - there > 1) {
		ssize_t got = source_read(&trace->source, &byte, 1, at - 1);

		if (got < 0)
			return got;
		if (got)
			there = at;
		else
			beyond = at;
		at = there + (beyond - there) / 2;
	}
	return (int64_t)there;
}

static void count_section(struct trace *trace, unsigned id, uint64_t end)
{
	const struct tlstall_section *s = &trace->header.section[id];
	uint64_t there = end > s->offset ? (end - s->offset) / s->entry_size : 0;

	trace->present[id] = there < s->count ? (uint32_t)there : s->count;
	trace->cut += trace->present[id] < s->count;
}

/* Looks and summaries: not every file has these sections, and no other one needs them. */
static void count_optional(struct trace *trace, unsigned id, uint64_t end)
{
	if (trace->header.section_count <= id || !trace->header.section[id].count)
		return;
	if (check_section(&trace->header, id))
		trace->cut++;
	else
		count_section(trace, id, end);
}

static int count_entries(struct trace *trace)
{
	int64_t found = find_end(trace);
	uint64_t end = (uint64_t)found;

	if (found < 0)
		return (int)found;
	for (unsigned id = 0; id < TLSTALL_SECTION_COUNT; id++)
		count_section(trace, id, end);
	count_optional(trace, TLSTALL_SECTION_LOOKS, end);
	count_optional(trace, TLSTALL_SECTION_HISTORY, end);
	/* a ring must be there as a whole */
	if (trace->present[TLSTALL_SECTION_HISTORY] <
	    trace->header.section[TLSTALL_SECTION_HISTORY].count)
		trace->present[TLSTALL_SECTION_HISTORY] = 0;
	/* nothing can be named without this section, and it comes first */
	if (trace->present[TLSTALL_SECTION_FUNCTIONS] <
	    trace->header.section[TLSTALL_SECTION_FUNCTIONS].count)
		return TRACE_ERROR_SHORT;
	return 0;
}

/* ---- the header ----------------------------------------------------------------- */

static void cap(uint32_t *value, uint32_t most)
{
	if (*value > most)
		*value = most;
}

/* Limits counts to their sections, and terminates strings. */
static void tame(struct tlstall_header *h)
{
	cap(&h->libssl_count, sizeof(h->libssl) / sizeof(h->libssl[0]));
	cap(&h->function_count, h->section[TLSTALL_SECTION_FUNCTIONS].count);
	cap(&h->state_count, h->section[TLSTALL_SECTION_STATES].count);
	cap(&h->string_count, h->section[TLSTALL_SECTION_STRINGS].count);
	cap(&h->process_count, h->section[TLSTALL_SECTION_PROCESSES].count);
	cap(&h->module_count, h->section[TLSTALL_SECTION_MODULES].count);
	cap(&h->stack_count, h->section[TLSTALL_SECTION_STACKS].count);
	for (unsigned i = 0; i < sizeof(h->libssl) / sizeof(h->libssl[0]); i++)
		TERMINATE(h->libssl[i].version);
	TERMINATE(h->comm);
	TERMINATE(h->host);
	TERMINATE(h->boot_id);
	TERMINATE(h->program);
}

/* Reads `last` under its seqlock; >0: a writer is in the middle of it, or died there. */
static int read_last(const struct trace *trace, struct tlstall_clock_pair *last)
{
	const uint64_t at = offsetof(struct tlstall_header, last_sequence);
	struct {
		uint32_t sequence, reserved;
		struct tlstall_clock_pair pair;
	} before, after;
	int error;

	_Static_assert(offsetof(struct tlstall_header, last) ==
			       offsetof(struct tlstall_header, last_sequence) + 8,
		       "read together");
	for (int i = 0; i < 8; i++) {
		error = trace_read(trace, &before, 1, sizeof(before), at);
		if (!error)
			error = trace_read(trace, &after, 1, sizeof(after), at);
		if (error)
			return error;
		if (!(before.sequence & 1) && !memcmp(&before, &after, sizeof(before))) {
			*last = before.pair;
			return 0;
		}
	}
	return 1;
}

static int first_read(struct trace *trace)
{
	struct tlstall_header *h = &trace->header;
	ssize_t got = source_read(&trace->source, h, sizeof(*h), 0);
	int error = got < 0 ? (int)got : check_identity(h, (size_t)got);

	if (!error)
		error = check_layout(h);
	if (!error)
		error = count_entries(trace);
	if (error)
		return error;
	error = read_last(trace, &h->last);
	if (error > 0)
		h->last = h->first;
	tame(h);
	trace->local = time_same_boot(h);
	time_settle(trace);
	return error < 0 ? error : 0;
}

int trace_refresh(struct trace *trace)
{
	struct tlstall_header fresh;
	const struct tlstall_header *old = &trace->header;
	ssize_t got = source_read(&trace->source, &fresh, sizeof(fresh), 0);
	int error = got < 0 ? (int)got : check_identity(&fresh, (size_t)got);

	if (!error)
		error = read_last(trace, &fresh.last);
	if (error < 0)
		return error;
	if (error > 0)
		fresh.last = old->last;
	/* the sections were checked, so they stay as they were */
	memcpy(fresh.section, old->section, sizeof(fresh.section));
	fresh.section_count = old->section_count;
	fresh.header_size = old->header_size;
	fresh.file_size = old->file_size;
	tame(&fresh);
	trace->header = fresh;
	trace->round++;
	time_settle(trace);
	return 0;
}

const struct tlstall_header *trace_header(const struct trace *trace)
{
	return &trace->header;
}

uint64_t trace_damage(const struct trace *trace)
{
	return trace->cut + trace->torn;
}

/* ---- a glance ----------------------------------------------------------------------- */

/*
 * It may have been written on another host (on a shared disk), or in a container that we cannot see
 * into.
 */
static bool is_in_sight(const struct tlstall_header *h, bool local)
{
	struct utsname name;

	if (local)
		return host_sees(h->pid_namespace);
	return !uname(&name) && !strncmp(name.nodename, h->host, sizeof(h->host) - 1);
}

/* Descendants are in the process table, which is not read here. */
static void judge_glance(const struct tlstall_header *h, struct trace_glance *out)
{
	const struct host_process maker = {
		.pid = (pid_t)h->pid,
		.start_time = h->start_time,
		.pid_namespace = h->pid_namespace,
		.boottime_offset_ns = h->boottime_offset_ns,
	};
	bool local = time_same_boot(h);
	bool maker_lives = local && host_find(&maker);
	bool children = h->forked || h->process_count > 1;

	*out = (struct trace_glance){
		.alive = maker_lives,
		.over = !local || (!maker_lives && !children),
		.last_ns = h->last.realtime_ns,
		.certain = is_in_sight(h, local) || (h->exited && !children),
	};
	/* one clock pair and the time stamp at the exit are exact enough here */
	if (h->exited && h->exit_ticks > h->last.ticks &&
	    h->clock_source == TLSTALL_CLOCK_MONOTONIC)
		out->last_ns += h->exit_ticks - h->last.ticks;
}

int trace_glance(const char *path, struct trace_glance *out)
{
	struct tlstall_header header = {0};
	struct trace_source source;
	int error = source_of_path(path, &source);
	ssize_t got;

	if (error)
		return error;
	got = source_read(&source, &header, sizeof(header), 0);
	source.close(source.context);
	error = got < 0 ? (int)got : check_identity(&header, (size_t)got);
	if (error)
		return error;
	tame(&header);
	judge_glance(&header, out);
	return 0;
}

/* ---- open and close --------------------------------------------------------------- */

int trace_open(struct trace_source source, struct trace **out)
{
	/* the struct contains the header, whose counters are aligned to cache lines */
	struct trace *trace = aligned_alloc(_Alignof(struct trace), sizeof(*trace));
	int error;

	*out = NULL;
	if (!trace) {
		if (source.close)
			source.close(source.context);
		return TRACE_ERROR_MEMORY;
	}
	memset(trace, 0, sizeof(*trace));
	trace->source = source;
	error = first_read(trace);
	if (error) {
		trace_close(trace);
		return error;
	}
	*out = trace;
	return 0;
}

int trace_open_path(const char *path, struct trace **out)
{
	struct trace_source source;
	int error = source_of_path(path, &source);

	*out = NULL;
	return error ? error : trace_open(source, out);
}

int trace_open_bytes(const void *start, size_t size, struct trace **out)
{
	struct trace_source source;
	int error = source_of_bytes(start, size, &source);

	*out = NULL;
	return error ? error : trace_open(source, out);
}

static void free_texts(struct text_table *table)
{
	free(table->texts);
	*table = (struct text_table){0};
}

void trace_idle(struct trace *trace)
{
	free_texts(&trace->functions);
	free_texts(&trace->states);
	free_texts(&trace->strings);
	free(trace->window.first);
	free(trace->window.second);
	free(trace->summaries);
	trace->summaries = NULL;
	trace->window = (struct window){0};
}

void trace_close(struct trace *trace)
{
	if (!trace)
		return;
	if (trace->source.close)
		trace->source.close(trace->source.context);
	trace_idle(trace);
	free(trace->lives);
	free(trace->looks);
	free(trace);
}
