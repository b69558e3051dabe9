/* SPDX-License-Identifier: Apache-2.0 */
/* Presents what a look found as a trace: one handshake for each object. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/polled.h"
#include "kernel/socket.h"
#include "kernel/thread.h"
#include "look/look.h"
#include "tlstall/vocabulary.h"

/* SSL_want() returns OpenSSL's numbers. */
static uint8_t error_of(int want)
{
	static const uint8_t errors[] = {
		[2] = TLSTALL_ERROR_WANT_WRITE,	      [3] = TLSTALL_ERROR_WANT_READ,
		[4] = TLSTALL_ERROR_WANT_X509_LOOKUP, [5] = TLSTALL_ERROR_WANT_ASYNC,
		[6] = TLSTALL_ERROR_WANT_ASYNC_JOB,   [7] = TLSTALL_ERROR_WANT_CLIENT_HELLO_CB,
		[8] = TLSTALL_ERROR_WANT_RETRY_VERIFY,
	};

	return want >= 0 && (size_t)want < sizeof(errors) ? errors[want] : TLSTALL_ERROR_NONE;
}

/* By type and name: programs give their own methods OpenSSL's types. */
static uint8_t class_of(const struct ssl_object *ssl)
{
	static const struct {
		const char *name;
		enum tlstall_bio_class bio_class;
	} classes[] = {
		{"socket", TLSTALL_BIO_SOCKET},
		{"socket connect", TLSTALL_BIO_SOCKET},
		{"datagram socket", TLSTALL_BIO_DATAGRAM},
		{"file descriptor", TLSTALL_BIO_FD},
		{"memory buffer", TLSTALL_BIO_MEMORY},
		{"secure memory buffer", TLSTALL_BIO_MEMORY},
		{"BIO pair", TLSTALL_BIO_PAIR},
		{"libpq socket", TLSTALL_BIO_SOCKET},
		{"PostgreSQL backend socket", TLSTALL_BIO_SOCKET},
	};

	if (!ssl->has_bio)
		return TLSTALL_BIO_NONE;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (!strcmp(classes[i].name, ssl->bio_name))
			return (uint8_t)classes[i].bio_class;
	}
	return TLSTALL_BIO_CUSTOM;
}

/* ---- the file --------------------------------------------------------------------------- */

struct making {
	const struct look *look;
	struct tlstall_header *header; /* followed by everything else */
	size_t size;
	void *section[TLSTALL_SECTION_COUNT];
	uint64_t now;
};

static void lay_out(struct tlstall_header *header, unsigned handshakes)
{
	const struct {
		uint32_t count;
		size_t size;
	} sections[TLSTALL_SECTION_COUNT] = {
		[TLSTALL_SECTION_FUNCTIONS] = {OPS + 1, sizeof(struct tlstall_function)},
		[TLSTALL_SECTION_STATES] = {128, sizeof(struct tlstall_string)},
		[TLSTALL_SECTION_STRINGS] = {64, sizeof(struct tlstall_string)},
		[TLSTALL_SECTION_PROCESSES] = {1, sizeof(struct tlstall_process)},
		[TLSTALL_SECTION_MODULES] = {1, sizeof(struct tlstall_module)},
		[TLSTALL_SECTION_STACKS] = {handshakes + 1, sizeof(struct tlstall_stack)},
		[TLSTALL_SECTION_HANDSHAKES] = {handshakes + 1, sizeof(struct tlstall_handshake)},
		[TLSTALL_SECTION_OPENING] = {1, sizeof(struct tlstall_event)},
		[TLSTALL_SECTION_REST] = {1, sizeof(struct tlstall_event)},
	};
	uint64_t offset = (sizeof(*header) + 63) & ~63ull;

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

static void read_line(const char *path, char *out, size_t size)
{
	FILE *file = fopen(path, "re");

	if (file && fgets(out, (int)size, file))
		out[strcspn(out, "\n")] = '\0';
	if (file)
		fclose(file);
}

static void read_program(pid_t pid, char *out, size_t size)
{
	static const char deleted[] = " (deleted)";
	char path[32];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	length = readlink(path, out, size - 1);
	out[length > 0 ? length : 0] = '\0';
	if (length > (ssize_t)sizeof(deleted) &&
	    !strcmp(out + length - (sizeof(deleted) - 1), deleted))
		out[length - (ssize_t)(sizeof(deleted) - 1)] = '\0';
}

static uid_t owner_of(pid_t pid)
{
	char path[32];
	struct stat status;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	return stat(path, &status) ? 0 : status.st_uid;
}

static void make_libssl(const struct look *look, struct tlstall_header *header)
{
	unsigned room = sizeof(header->libssl) / sizeof(header->libssl[0]);

	for (unsigned i = 0; i < look->libraries.count && i < room; i++) {
		const struct libssl_copy *library = &look->libraries.list[i];

		header->libssl[header->libssl_count++] = (struct tlstall_libssl){
			.start = library->start,
			.end = library->end,
			.version_num = library->version,
		};
	}
}

static void make_header(struct making *m)
{
	struct tlstall_header *header = m->header;

	header->magic = TLSTALL_MAGIC;
	header->major = TLSTALL_MAJOR;
	header->minor = TLSTALL_MINOR;
	header->header_size = sizeof(*header);
	header->byte_order = TLSTALL_BYTE_ORDER;
	header->pointer_size = sizeof(void *);
	header->pid = (uint32_t)m->look->pid;
	header->uid = owner_of(m->look->pid);
	header->start_time = m->look->start_time;
	header->clock_source = TLSTALL_CLOCK_MONOTONIC;
	header->state_count = header->string_count = header->stack_count = 1;
	header->function_count = OPS + 1;
	header->process_count = 1;
	memcpy(header->comm, m->look->comm, sizeof(header->comm));
	gethostname(header->host, sizeof(header->host) - 1);
	read_line("/proc/sys/kernel/random/boot_id", header->boot_id, sizeof(header->boot_id));
	read_program(m->look->pid, header->program, sizeof(header->program));
	make_libssl(m->look, header);
}

static void make_tables(struct making *m)
{
	struct tlstall_function *functions = m->section[TLSTALL_SECTION_FUNCTIONS];
	struct tlstall_process *process = m->section[TLSTALL_SECTION_PROCESSES];

	for (unsigned i = 0; i < OPS; i++) {
		functions[i + 1].kind = (uint8_t)op_kind(i);
		snprintf(functions[i + 1].name, sizeof(functions[i + 1].name), "%s", op_name(i));
	}
	*process = (struct tlstall_process){
		.commit = 1,
		.pid = (uint32_t)m->look->pid,
		.start_time = m->look->start_time,
	};
	memcpy(process->comm, m->look->comm, sizeof(process->comm));
}

/* Returns an id; 0: nothing to intern, or no room. */
static uint32_t intern(struct making *m, enum tlstall_section_id section, uint32_t *count,
		       const char *text)
{
	struct tlstall_string *list = m->section[section];
	uint32_t id = 1;

	while (id < *count && strncmp(list[id].text, text, sizeof(list[id].text) - 1) != 0)
		id++;
	if (!*text || id >= m->header->section[section].count)
		return 0;
	if (id == *count) {
		snprintf(list[id].text, sizeof(list[id].text), "%s", text);
		list[id].commit = 1;
		++*count;
	}
	return id;
}

/* ---- one handshake -------------------------------------------------------------------------- */

/* The call and its callers, without OpenSSL's own functions. */
static uint32_t make_stack(struct making *m, const struct process_thread *thread, bool inside)
{
	uint32_t id = m->header->stack_count, first = 0;
	struct tlstall_stack *stack = (struct tlstall_stack *)m->section[TLSTALL_SECTION_STACKS] + id;

	if (inside && thread->in_library > 0)
		first = (uint32_t)thread->in_library;
	if (first >= thread->unwound.count)
		return 0;
	stack->count = thread->unwound.count - first;
	if (stack->count > TLSTALL_STACK_FRAMES)
		stack->count = TLSTALL_STACK_FRAMES;
	memcpy(stack->frames, thread->unwound.frames + first,
	       stack->count * sizeof(*stack->frames));
	stack->commit = 1;
	m->header->stack_count++;
	return id;
}

static void make_transport(struct making *m, const struct look_object *object,
			   struct tlstall_handshake *h)
{
	const struct ssl_object *ssl = &object->ssl;
	const struct process_socket *socket =
		object->joined.index < 0 ? NULL : &m->look->sockets.list[object->joined.index];

	h->read = (struct tlstall_transport){
		.type = ssl->bio_type,
		.fd = ssl->fd,
		.bio_class = class_of(ssl),
		.blocking = 2,
		.name = (uint16_t)intern(m, TLSTALL_SECTION_STRINGS, &m->header->string_count,
					 ssl->bio_name),
	};
	h->bytes_in = ssl->bytes_in;
	h->bytes_out = ssl->bytes_out;
	h->pending_in = ssl->pending_in > UINT32_MAX ? UINT32_MAX : (uint32_t)ssl->pending_in;
	h->pending_out = ssl->pending_out > UINT32_MAX ? UINT32_MAX : (uint32_t)ssl->pending_out;
	if (!ssl->bytes_in)
		h->first_flight = (uint32_t)ssl->bytes_out;
	if (socket) {
		h->local = socket->local;
		h->peer = socket->peer;
		h->socket_inode = socket->inode;
		if (ssl->fd >= 0)
			h->read.blocking = socket->blocking;
	}
	h->write = h->read;
}

/* The last call is known only by what it wanted at its end. */
static void make_call(struct making *m, const struct look_object *object,
		      struct tlstall_handshake *h)
{
	const struct process_thread *thread =
		object->thread < 0 ? NULL : &m->look->threads.list[object->thread];

	h->last_error = error_of(object->ssl.want);
	if (thread) {
		h->tid = (uint32_t)thread->own;
		h->stack_first = make_stack(m, thread, object->inside);
	}
	if (object->inside) {
		h->enter = h->progress;
		h->in_call_function = thread && thread->op < OPS ? (uint8_t)(thread->op + 1) : 0;
		return;
	}
	h->leave = h->progress;
	h->calls = 1;
}

static void make_handshake(struct making *m, const struct look_object *object,
			   struct tlstall_handshake *h, uint64_t number)
{
	const struct ssl_object *ssl = &object->ssl;
	uint64_t progress = m->now - object->standing_ns;

	*h = (struct tlstall_handshake){
		.number = number,
		.status = TLSTALL_SLOT_LIVE,
		.flags = TLSTALL_HS_LOOKED,
		.ssl = ssl->address,
		.start = m->now - (object->moved ? object->since_ns : object->standing_ns),
		.progress = progress,
		.at_start = object->earlier,
		.role = ssl->server ? TLSTALL_ROLE_SERVER : TLSTALL_ROLE_CLIENT,
		.libssl = (uint8_t)(ssl->library - m->look->libraries.list),
	};
	h->state = (uint8_t)intern(m, TLSTALL_SECTION_STATES, &m->header->state_count, ssl->state);
	h->states[0] = (uint64_t)h->state << 56;
	h->state_count = h->state != 0;
	/* until a version has been agreed on, this is the SSL_METHOD's */
	h->version = ssl->version < 0x10000 ? (uint16_t)ssl->version : 0;
	memcpy(h->sni, ssl->name, strnlen(ssl->name, sizeof(h->sni)));
	make_transport(m, object, h);
	make_call(m, object, h);
}

static void make_handshakes(struct making *m)
{
	struct tlstall_handshake *list = m->section[TLSTALL_SECTION_HANDSHAKES];
	unsigned made = 0;

	for (unsigned i = 0; i < m->look->count && made < m->look->in_handshake; i++) {
		if (look_is_handshake(&m->look->objects[i])) {
			make_handshake(m, &m->look->objects[i], &list[made], made + 1);
			made++;
		}
	}
	m->header->handshakes = made;
}

/* ---- all of it -------------------------------------------------------------------------------- */

static ssize_t read_bytes(void *context, void *buffer, size_t size, uint64_t offset)
{
	const struct tlstall_header *header = context;

	if (offset >= header->file_size)
		return 0;
	if (size > header->file_size - offset)
		size = header->file_size - offset;
	memcpy(buffer, (const char *)context + offset, size);
	return (ssize_t)size;
}

static bool make(struct making *m)
{
	struct tlstall_header sizes = {0};

	lay_out(&sizes, m->look->in_handshake);
	m->header = aligned_alloc(64, (sizes.file_size + 63) & ~63ull);
	if (!m->header)
		return false;
	memset(m->header, 0, sizes.file_size);
	*m->header = sizes;
	for (unsigned i = 0; i < TLSTALL_SECTION_COUNT; i++)
		m->section[i] = (char *)m->header + sizes.section[i].offset;
	return true;
}

struct trace *look_trace(const struct look *look)
{
	struct making m = {.look = look, .now = look->taken_ns};
	struct tlstall_clock_pair pair;
	struct trace *trace;

	if (!make(&m))
		return NULL;
	make_header(&m);
	make_tables(&m);
	make_handshakes(&m);
	if (trace_open((struct trace_source){read_bytes, free, m.header}, &trace))
		return NULL;
	/* its clock is ours, and the time is that of the look */
	pair = trace_read_clock(trace);
	pair.realtime_ns -= pair.ticks - m.now;
	pair.ticks = pair.monotonic_ns = m.now;
	m.header->first = m.header->last = pair;
	trace_refresh(trace);
	trace_set_now(trace, pair);
	return trace;
}

static const struct look_object *look_of(const struct look *look, uint64_t number)
{
	for (unsigned i = 0; i < look->count; i++) {
		if (look_is_handshake(&look->objects[i]) && --number == 0)
			return &look->objects[i];
	}
	return NULL;
}

const struct unwound *look_stack(const struct look *look, uint64_t number)
{
	const struct look_object *object = look_of(look, number);

	return object && object->inside ? &look->threads.list[object->thread].unwound : NULL;
}

static void look_at_thread(const struct look *look, const struct look_object *object, int fd,
			   struct kernel_view *out)
{
	pid_t tid = look->threads.list[object->thread].tid;

	thread_wait(look->pid, tid, fd, out);
	if (!object->inside)
		polled_look(look->pid, tid, fd, error_of(object->ssl.want), out);
}

void look_view(const struct look *look, uint64_t number, struct kernel_view *out)
{
	const struct look_object *object = look_of(look, number);
	const struct process_socket *socket =
		object && object->joined.index >= 0
			? &look->sockets.list[object->joined.index]
			: NULL;

	*out = (struct kernel_view){
		.wait = TLSTALL_WAIT_UNKNOWN,
		.fd = -1,
		.own_fd = -1,
		.accept_waiting = look->sockets.waiting,
		.threads = look->threads.count,
	};
	if (object && !socket && object->ssl.fd >= 0 && class_of(&object->ssl) == TLSTALL_BIO_SOCKET)
		out->descriptor = socket_descriptor(look->pid, object->ssl.fd, 0);
	if (object) {
		out->guessed = object->joined.guessed;
		out->fitting = object->joined.fitting;
		out->idle = object->joined.idle;
		out->unread = object->joined.unread;
	}
	if (socket) {
		out->socket = socket->now;
		out->tcp = socket->tcp;
		out->peer = socket->peer;
	}
	if (object && object->thread >= 0)
		look_at_thread(look, object, socket ? socket->fd : object->ssl.fd, out);
}
