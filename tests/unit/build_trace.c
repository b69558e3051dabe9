/* SPDX-License-Identifier: Apache-2.0 */
/* Synthetic traces for tests. See build_trace.h. */
#include "build_trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "trace/reader.h"

#define EVENT_SIZE sizeof(struct tlstall_event)

static void *must(void *pointer)
{
	if (!pointer)
		abort();
	return pointer;
}

/* ---- layout ----------------------------------------------------------------- */

static uint32_t or_default(uint32_t count, uint32_t otherwise)
{
	return count ? count : otherwise;
}

static void lay_out(struct tlstall_header *header, const struct build_plan *plan)
{
	const struct build_plan none = {0}, *p = plan ? plan : &none;
	const struct {
		uint32_t count;
		size_t size;
	} sections[TLSTALL_SECTION_COUNT] = {
		{or_default(p->functions, 16), sizeof(struct tlstall_function)},
		{or_default(p->states, 32), sizeof(struct tlstall_string)},
		{or_default(p->strings, 32), sizeof(struct tlstall_string)},
		{or_default(p->processes, 4), sizeof(struct tlstall_process)},
		{or_default(p->modules, 4), sizeof(struct tlstall_module)},
		{or_default(p->stacks, 8), sizeof(struct tlstall_stack)},
		{or_default(p->handshakes, 8), sizeof(struct tlstall_handshake)},
		{or_default(p->opening, 64), EVENT_SIZE},
		{or_default(p->rest, 64), EVENT_SIZE},
	};
	uint64_t offset = 4096;

	header->section_count = TLSTALL_SECTION_COUNT;
	for (unsigned i = 0; i < TLSTALL_SECTION_COUNT; i++) {
		header->section[i] = (struct tlstall_section){
			.offset = offset,
			.count = sections[i].count,
			.entry_size = (uint32_t)sections[i].size,
		};
		offset += (sections[i].count * sections[i].size + 63) & ~63ull;
	}
	header->file_size = offset;
}

static void find_sections(struct build *b)
{
	void *at[TLSTALL_SECTION_COUNT];

	for (unsigned i = 0; i < TLSTALL_SECTION_COUNT; i++)
		at[i] = b->bytes + b->header->section[i].offset;
	b->functions = at[TLSTALL_SECTION_FUNCTIONS];
	b->states = at[TLSTALL_SECTION_STATES];
	b->strings = at[TLSTALL_SECTION_STRINGS];
	b->processes = at[TLSTALL_SECTION_PROCESSES];
	b->modules = at[TLSTALL_SECTION_MODULES];
	b->stacks = at[TLSTALL_SECTION_STACKS];
	b->handshakes = at[TLSTALL_SECTION_HANDSHAKES];
	b->opening = at[TLSTALL_SECTION_OPENING];
	b->rest = at[TLSTALL_SECTION_REST];
}

static struct tlstall_header first_header(const struct build_plan *plan)
{
	struct tlstall_header header = {
		.magic = TLSTALL_MAGIC,
		.major = TLSTALL_MAJOR,
		.minor = TLSTALL_MINOR,
		.header_size = sizeof(header),
		.byte_order = TLSTALL_BYTE_ORDER,
		.pointer_size = 8,
		.pid = BUILD_PID,
		.uid = 1000,
		.start_time = 8877,
		.clock_source = TLSTALL_CLOCK_MONOTONIC,
		.first = {0, 0, BUILD_EPOCH_NS},
		.last = {10 * BUILD_S, 10 * BUILD_S, BUILD_EPOCH_NS + 10 * BUILD_S},
		.control = {.mode = TLSTALL_MODE_ALL, .stacks = 1, .socket = 1},
		.exited = 1,
		.exit_ticks = 10 * BUILD_S,
		.libssl = {{.start = 0x7f0000000000,
			    .end = 0x7f0000100000,
			    .version_num = 0x30000130,
			    .version = "OpenSSL 3.0.19 27 Jan 2026"}},
		.libssl_count = 1,
		.comm = "curl",
		.host = "example",
		.boot_id = "00000000-0000-0000-0000-000000000000",
		.program = "/usr/bin/curl",
		.state_count = 1,
		.string_count = 1,
		.stack_count = 1,
	};

	lay_out(&header, plan);
	return header;
}

void build_trace(struct build *b, const struct build_plan *plan)
{
	struct tlstall_header header = first_header(plan);

	memset(b, 0, sizeof(*b));
	b->size = header.file_size;
	/* aligned like a mapping: the header has 64-byte aligned counters */
	b->bytes = must(aligned_alloc(4096, (b->size + 4095) & ~4095ull));
	memset(b->bytes, 0, b->size);
	memcpy(b->bytes, &header, sizeof(header));
	b->header = (struct tlstall_header *)b->bytes;
	find_sections(b);
	build_process(b, BUILD_PID, "curl");
}

void build_free(struct build *b)
{
	free(b->bytes);
	memset(b, 0, sizeof(*b));
}

/* ---- tables ------------------------------------------------------------------ */

static enum tlstall_function_kind kind_of(const char *name)
{
	static const struct {
		const char *part;
		enum tlstall_function_kind kind;
	} kinds[] = {
		{"connect", TLSTALL_KIND_CONNECT},
		{"accept", TLSTALL_KIND_ACCEPT},
		{"do_handshake", TLSTALL_KIND_DO_HANDSHAKE},
		{"read", TLSTALL_KIND_READ},
		{"peek", TLSTALL_KIND_READ},
		{"write", TLSTALL_KIND_WRITE},
		{"shutdown", TLSTALL_KIND_SHUTDOWN},
		{"get_error", TLSTALL_KIND_GET_ERROR},
		{"inside OpenSSL", TLSTALL_KIND_INTERNAL},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strstr(name, kinds[i].part))
			return kinds[i].kind;
	return TLSTALL_KIND_STATE;
}

uint8_t build_function(struct build *b, const char *name)
{
	uint32_t count = b->header->function_count;

	for (uint32_t i = 0; i < count; i++)
		if (!strcmp(b->functions[i].name, name))
			return (uint8_t)i;
	if (count == b->header->section[TLSTALL_SECTION_FUNCTIONS].count)
		abort();
	b->functions[count].kind = (uint8_t)kind_of(name);
	strncpy(b->functions[count].name, name, sizeof(b->functions[count].name) - 1);
	b->header->function_count++;
	return (uint8_t)count;
}

static uint32_t intern(struct tlstall_string *table, uint32_t *count, uint32_t room,
		       const char *text)
{
	struct tlstall_string *string;

	for (uint32_t i = 1; i < *count; i++)
		if (!strcmp(table[i].text, text))
			return i;
	if (*count == room)
		abort();
	string = &table[*count];
	strncpy(string->text, text, sizeof(string->text) - 1);
	string->commit = 1;
	return (*count)++;
}

uint8_t build_state(struct build *b, const char *text)
{
	return (uint8_t)intern(b->states, &b->header->state_count,
			       b->header->section[TLSTALL_SECTION_STATES].count, text);
}

uint16_t build_string(struct build *b, const char *text)
{
	return (uint16_t)intern(b->strings, &b->header->string_count,
				b->header->section[TLSTALL_SECTION_STRINGS].count, text);
}

uint32_t build_process(struct build *b, uint32_t pid, const char *comm)
{
	uint32_t index = b->header->process_count++;
	struct tlstall_process *process = &b->processes[index];

	if (index >= b->header->section[TLSTALL_SECTION_PROCESSES].count)
		abort();
	process->pid = pid;
	process->parent = index ? BUILD_PID : 1;
	process->start_time = b->header->start_time + index;
	process->exited = 1;
	process->exit_ticks = b->header->exit_ticks;
	strncpy(process->comm, comm, sizeof(process->comm) - 1);
	process->commit = 1;
	return index;
}

uint32_t build_module(struct build *b, const char *path, uint64_t start, uint64_t end)
{
	uint32_t index = b->header->module_count++;
	struct tlstall_module *module = &b->modules[index];

	if (index >= b->header->section[TLSTALL_SECTION_MODULES].count)
		abort();
	module->start = module->bias = start;
	module->end = end;
	strncpy(module->path, path, sizeof(module->path) - 1);
	module->commit = 1;
	return index;
}

uint32_t build_stack(struct build *b, const uint64_t *frames, uint32_t count)
{
	uint32_t id = b->header->stack_count++;
	struct tlstall_stack *stack = &b->stacks[id];

	if (id >= b->header->section[TLSTALL_SECTION_STACKS].count || count > TLSTALL_STACK_FRAMES)
		abort();
	stack->hash = id;
	stack->count = count;
	memcpy(stack->frames, frames, count * sizeof(*frames));
	stack->commit = 1;
	return id;
}

/* ---- handshakes --------------------------------------------------------------- */

struct tlstall_handshake *build_handshake(struct build *b, uint64_t ssl, uint64_t start)
{
	struct tlstall_handshake *h = &b->handshakes[b->header->slot_cursor++];

	if (b->header->slot_cursor > b->header->section[TLSTALL_SECTION_HANDSHAKES].count)
		abort();
	*h = (struct tlstall_handshake){
		.number = ++b->header->handshakes,
		.status = TLSTALL_SLOT_LIVE,
		.ssl = ssl,
		.start = start,
		.progress = start,
		.role = TLSTALL_ROLE_CLIENT,
		.tid = BUILD_TID,
		.pending_in = UINT32_MAX,
		.pending_out = UINT32_MAX,
		.read = {.type = 0x505, .fd = 5, .bio_class = TLSTALL_BIO_SOCKET},
		.peer = {.family = AF_INET, .port = 8443, .addr = {127, 0, 0, 1}},
		.sni = "example.org",
	};
	h->read.name = build_string(b, "socket");
	h->write = h->read;
	return h;
}

void build_reach(struct build *b, struct tlstall_handshake *h, const char *state, uint64_t ticks)
{
	h->state = build_state(b, state);
	h->progress = ticks;
	if (h->state_count < TLSTALL_STATES)
		h->states[h->state_count++] =
			(uint64_t)h->state << 56 | TLSTALL_STATE_TICKS(ticks - h->start);
}

/* ---- events -------------------------------------------------------------------- */

struct tlstall_event *build_event(struct build *b, struct tlstall_handshake *h,
				  const struct tlstall_event *event)
{
	bool opening = event->type == TLSTALL_EVENT_END || (h && h->events < TLSTALL_OPENING);
	enum tlstall_section_id id = opening ? TLSTALL_SECTION_OPENING : TLSTALL_SECTION_REST;
	uint64_t *head = opening ? &b->header->opening_head : &b->header->rest_head;
	struct tlstall_event *ring = opening ? b->opening : b->rest;
	struct tlstall_event *to = &ring[*head % b->header->section[id].count];

	*to = *event;
	to->commit = (uint32_t)(*head + 1);
	(*head)++;
	if (h && h->events < UINT8_MAX)
		h->events++;
	return to;
}

static struct tlstall_event event_of(const struct build *b, const struct tlstall_handshake *h,
				     enum tlstall_event_type type)
{
	return (struct tlstall_event){
		.type = (uint8_t)type,
		.ssl = h->ssl,
		.slot = (uint32_t)(h - b->handshakes),
		.handshake = (uint32_t)h->number,
		.state = h->state,
		.tid = h->tid,
		.process = (uint16_t)h->process,
		.flags = TLSTALL_EV_BLOCKING_KNOWN |
			 (h->role == TLSTALL_ROLE_SERVER ? TLSTALL_EV_SERVER : TLSTALL_EV_CLIENT),
		.pending_in = UINT32_MAX,
		.pending_out = UINT32_MAX,
	};
}

static void count_call(struct tlstall_handshake *h, const struct tlstall_event *event,
		       uint64_t duration)
{
	h->calls++;
	h->retries = h->calls - 1;
	h->want_read += event->error == BUILD_WANT_READ;
	h->want_write += event->error == BUILD_WANT_WRITE;
	h->want_other += event->error == BUILD_WANT_X509_LOOKUP;
	h->in_call += duration;
	h->leave = event->ticks + duration;
	h->last_ret = event->ret;
	h->last_error = event->error;
	h->last_function = event->function;
}

struct tlstall_event *build_call(struct build *b, struct tlstall_handshake *h, const char *function,
				 uint64_t ticks, uint64_t duration, int32_t ret, uint8_t error)
{
	struct tlstall_event event = event_of(b, h, TLSTALL_EVENT_CALL);

	event.function = build_function(b, function);
	event.ticks = ticks;
	event.duration = (float)duration;
	event.ret = ret;
	event.error = error;
	event.retry = h->calls;
	count_call(h, &event, duration);
	return build_event(b, h, &event);
}

struct tlstall_event *build_get_error(struct build *b, struct tlstall_handshake *h, uint64_t ticks,
				      int32_t argument, uint8_t answer)
{
	struct tlstall_event event = event_of(b, h, TLSTALL_EVENT_GET_ERROR);

	event.function = build_function(b, "SSL_get_error");
	event.ticks = ticks;
	event.duration = 20;
	event.ret = argument;
	event.error = answer;
	event.retry = h->retries;
	event.misuse = 0;
	h->get_errors++;
	return build_event(b, h, &event);
}

struct tlstall_event *build_end(struct build *b, struct tlstall_handshake *h, uint64_t ticks,
				enum tlstall_outcome outcome)
{
	struct tlstall_event event = event_of(b, h, TLSTALL_EVENT_END);

	h->end = ticks;
	h->outcome = (uint8_t)outcome;
	h->status = TLSTALL_SLOT_DONE;
	event.ticks = h->start;
	event.duration = (float)(ticks - h->start);
	event.function = h->last_function;
	event.error = h->last_error;
	event.retry = h->retries;
	event.ret = outcome;
	return build_event(b, h, &event);
}

void build_look(struct build *b, const struct tlstall_look *look)
{
	struct tlstall_section *section = &b->header->section[TLSTALL_SECTION_LOOKS];
	unsigned char *bytes = must(aligned_alloc(4096, (b->size + 2 * 4096) & ~4095ull));

	if (!section->count)
		*section = (struct tlstall_section){(b->size + 63) & ~63ull, 0, sizeof(*look)};
	section->count++;
	b->header->section_count = TLSTALL_SECTION_LOOKS + 1;
	b->header->file_size = section->offset + section->count * sizeof(*look);
	memset(bytes, 0, b->header->file_size);
	memcpy(bytes, b->bytes, b->size);
	b->size = b->header->file_size;
	memcpy(bytes + b->size - sizeof(*look), look, sizeof(*look));
	free(b->bytes);
	b->bytes = bytes;
	b->header = (struct tlstall_header *)bytes;
	find_sections(b);
}

/* ---- use ------------------------------------------------------------------------ */

struct trace *build_open(struct build *b)
{
	struct trace *trace = NULL;
	int error = trace_open_bytes(b->bytes, b->size, &trace);

	if (error) {
		fprintf(stderr, "build_open: %s\n", trace_strerror(trace, error));
		abort();
	}
	return trace;
}

int build_write(const struct build *b, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t written;
	int saved;

	if (fd < 0)
		return -1;
	written = write(fd, b->bytes, b->size);
	saved = written == (ssize_t)b->size ? 0 : written < 0 ? errno : ENOSPC;
	close(fd);
	errno = saved;
	return saved ? -1 : 0;
}

void build_one(struct build *b)
{
	struct tlstall_handshake *h;

	build_trace(b, NULL);
	h = build_handshake(b, 0x5000, 1 * BUILD_MS);
	build_reach(b, h, "SSLv3/TLS write client hello", 1200 * BUILD_US);
	build_call(b, h, "SSL_connect", 1 * BUILD_MS, 300 * BUILD_US, -1, BUILD_WANT_READ);
	build_get_error(b, h, 1400 * BUILD_US, -1, BUILD_WANT_READ);
	build_call(b, h, "SSL_connect", 4 * BUILD_MS, 1 * BUILD_MS, 1, BUILD_NONE);
	build_end(b, h, 5 * BUILD_MS, TLSTALL_OUTCOME_OK);
}
