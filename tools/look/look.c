/* SPDX-License-Identifier: Apache-2.0 */
#include "look/look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "look/memory.h"
#include "look/scan.h"
#include "look/stub.h"
#include "kernel/kernel.h"
#include "now.h"

#define SEARCH_NS 10000000000ull
#define OBJECTS 65536u
#define MS 1000000ull

/* ---- objects -------------------------------------------------------------------------- */

bool look_is_handshake(const struct look_object *object)
{
	return object->ssl.in_init && !object->ssl.in_before;
}

struct taking {
	struct look *look;
	struct sandbox *sandbox;
	bool no_memory;
	int error;
};

static bool keep(struct taking *taking, const struct ssl_object *ssl)
{
	struct look *look = taking->look;
	struct look_object *list = look->objects;

	/* grows at each power of two */
	if (!(look->count & (look->count - 1)))
		list = reallocarray(list, look->count ? 2 * look->count : 1, sizeof(*list));
	taking->no_memory = !list;
	if (!list)
		return false;
	look->objects = list;
	list[look->count++] = (struct look_object){.ssl = *ssl, .joined = {.index = -1}, .thread = -1};
	look->in_handshake += look_is_handshake(&look->objects[look->count - 1]);
	return look->count < OBJECTS;
}

static bool take_candidate(uint64_t address, const struct libssl_copy *library, void *context)
{
	struct taking *taking = context;
	struct look *look = taking->look;
	struct trouble trouble;
	struct ssl_object ssl;

	switch (ssl_object_read(taking->sandbox, look->memory, library, address, &ssl, &trouble)) {
	case OBJECT_IS:
		return keep(taking, &ssl);
	case OBJECT_UNREADABLE:
		if (!look->unreadable++) {
			look->trouble = trouble;
			taking->error = errno;
		}
		return trouble.result != SANDBOX_REFUSED;
	default:
		return true;
	}
}

static int find_objects(struct taking *taking)
{
	struct look *look = taking->look;
	char path[40];
	struct scan scan = {
		.memory = look->memory,
		.regions = &look->regions,
		.libraries = &look->libraries,
		.deadline_ns = now_ns(CLOCK_MONOTONIC) + SEARCH_NS,
	};
	int result;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", look->pid);
	scan.pages = open(path, O_RDONLY | O_CLOEXEC);
	result = scan_run(&scan, take_candidate, taking);
	if (scan.pages >= 0)
		close(scan.pages);
	look->searched = scan.searched;
	look->skipped = scan.skipped;
	return taking->no_memory ? -1 : result;
}

/* Asks each copy of libssl for its version, also in the sandbox. */
static void ask_versions(struct taking *taking)
{
	struct libraries *libraries = &taking->look->libraries;

	for (unsigned i = 0; i < libraries->count; i++) {
		uint64_t function = libraries->list[i].function[ACCESSOR_OpenSSL_version_num];
		uint64_t value = 0;

		if (function &&
		    sandbox_call(taking->sandbox, function, 0, 0, &value) == SANDBOX_RETURNED)
			libraries->list[i].version = (uint32_t)value;
	}
}

/* ---- joining ----------------------------------------------------------------------------- */

struct joining {
	struct ssl_object *objects;
	struct joined_socket *sockets;
	int *fds, *threads;
	bool *inside;
};

static void free_joining(struct joining *j)
{
	free(j->objects);
	free(j->sockets);
	free(j->fds);
	free(j->threads);
	free(j->inside);
}

static bool make_joining(const struct look *look, struct joining *j)
{
	unsigned room = look->count + 1;

	*j = (struct joining){
		.objects = calloc(room, sizeof(*j->objects)),
		.sockets = calloc(room, sizeof(*j->sockets)),
		.fds = calloc(room, sizeof(int)),
		.threads = calloc(room, sizeof(int)),
		.inside = calloc(room, sizeof(bool)),
	};
	for (unsigned i = 0; i < look->count && j->objects; i++)
		j->objects[i] = look->objects[i].ssl;
	return j->objects && j->sockets && j->fds && j->threads && j->inside;
}

/*
 * How long nothing new was sent or received. Retransmissions count as sent, so while something is
 * unacknowledged the last acknowledgment tells.
 */
static uint64_t standing_ns(const struct tlstall_socket *now)
{
	uint32_t sent =
		now->unacked || now->retransmits ? now->last_ack_recv_ms : now->last_data_sent_ms;
	uint32_t ms = now->last_data_recv_ms;

	if (!now->ticks || !now->tcp_state)
		return 0;
	/* before its first byte, a socket's time of sending is meaningless */
	if (now->bytes_acked + now->outq > 1 && sent < ms)
		ms = sent;
	return ms * MS;
}

static void keep_joined(struct look *look, const struct joining *j)
{
	for (unsigned i = 0; i < look->count; i++) {
		struct look_object *object = &look->objects[i];

		object->joined = j->sockets[i];
		object->thread = j->threads[i];
		object->inside = j->inside[i];
		if (object->joined.index >= 0)
			object->standing_ns =
				standing_ns(&look->sockets.list[object->joined.index].now);
	}
}

static int join(struct look *look)
{
	struct joining j;
	bool fits = make_joining(look, &j);

	if (fits) {
		sockets_join(&look->sockets, j.objects, look->count, j.sockets);
		for (unsigned i = 0; i < look->count; i++)
			j.fds[i] = j.sockets[i].index < 0
					   ? j.objects[i].fd
					   : look->sockets.list[j.sockets[i].index].fd;
		threads_join(&look->threads, &look->libraries, &look->regions, j.objects, j.fds,
			     look->count, j.threads, j.inside);
		keep_joined(look, &j);
	}
	free_joining(&j);
	return fits ? 0 : -1;
}

/* ---- one look ------------------------------------------------------------------------------ */

static void read_comm(struct look *look)
{
	char path[40], text[512] = "";
	const char *after;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", look->pid);
	file = fopen(path, "re");
	if (file && fgets(text, sizeof(text), file)) {
		text[strcspn(text, "\n")] = '\0';
		snprintf(look->comm, sizeof(look->comm), "%.15s", text);
	}
	if (file)
		fclose(file);
	snprintf(path, sizeof(path), "/proc/%d/stat", look->pid);
	file = fopen(path, "re");
	after = file && fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
	if (!after || sscanf(after,
			     ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
			     "%*d %*d %*d %lu",
			     &look->start_time) != 1)
		look->start_time = 0;
	if (file)
		fclose(file);
}

static int say(char *why, size_t size, pid_t pid, const char *what, int error)
{
	snprintf(why, size, "%s of process %d: %s", what, pid, strerror(error));
	return -1;
}

static int ask_objects(struct look *look, char *why, size_t size)
{
	struct taking taking = {.look = look};
	int result;

	taking.sandbox = sandbox_open(look->pid, look->memory, &look->regions);
	if (!taking.sandbox)
		return say(why, size, look->pid, "searching the memory", ENOMEM);
	ask_versions(&taking);
	result = find_objects(&taking);
	sandbox_close(taking.sandbox);
	if (result)
		return say(why, size, look->pid, "searching the memory", ENOMEM);
	/* not for what a dropped user's code did to earlier processes */
	if (look->unreadable && look->trouble.result == SANDBOX_REFUSED) {
		snprintf(why, size,
			 "the sandboxed child that would query the TLS objects of process %d "
			 "cannot be started: "
			 "%s",
			 look->pid, strerror(taking.error));
		return -1;
	}
	return 0;
}

static int open_all(struct look *look, char *why, size_t size)
{
	if (kernel_access(look->pid, why, size))
		return -1;
	look->memory = memory_open(look->pid);
	if (look->memory < 0)
		return say(why, size, look->pid, "opening the memory", errno);
	if (regions_read(look->pid, &look->regions))
		return say(why, size, look->pid, "reading the memory map", errno);
	return 0;
}

static int take_all(struct look *look, char *why, size_t size)
{
	libraries_find(look->pid, look->memory, &look->regions, &look->libraries);
	if (look->libraries.starved)
		return say(why, size, look->pid, "searching the libraries", ENOMEM);
	if (!look->libraries.count)
		return 0;
	if (ask_objects(look, why, size))
		return -1;
	look->taken_ns = now_ns(CLOCK_MONOTONIC);
	if (sockets_read(look->pid, &look->sockets))
		return say(why, size, look->pid, "listing the descriptors", errno);
	if (threads_read(look->pid, look->memory, &look->libraries, &look->threads))
		return say(why, size, look->pid, "listing the threads", errno);
	if (join(look))
		return say(why, size, look->pid, "matching objects with threads and sockets",
			   ENOMEM);
	return 0;
}

int look_take(pid_t pid, struct look *out, char *why, size_t size)
{
	int result;

	*out = (struct look){.pid = pid, .memory = -1, .began_ns = now_ns(CLOCK_MONOTONIC)};
	if (!STUB_EXISTS) {
		snprintf(why, size, "tlstall look works only on x86-64");
		return -1;
	}
	read_comm(out);
	result = open_all(out, why, size);
	if (!result)
		result = take_all(out, why, size);
	if (result)
		look_free(out);
	return result;
}

void look_free(struct look *look)
{
	if (look->memory >= 0)
		close(look->memory);
	look->memory = -1;
	regions_free(&look->regions);
	sockets_free(&look->sockets);
	threads_free(&look->threads);
	free(look->objects);
	look->objects = NULL;
	look->count = 0;
}

/* ---- two looks --------------------------------------------------------------------------------
 */

static const struct look_object *find(const struct look *look, uint64_t address)
{
	for (unsigned i = 0; i < look->count; i++) {
		if (look->objects[i].ssl.address == address)
			return &look->objects[i];
	}
	return NULL;
}

static bool is_same(const struct ssl_object *a, const struct ssl_object *b)
{
	return a->in_init == b->in_init && a->in_before == b->in_before &&
	       a->bytes_in == b->bytes_in && a->bytes_out == b->bytes_out &&
	       a->server == b->server && !strcmp(a->state, b->state);
}

/* For how much came meanwhile, and in which segments. */
static void note_earlier(const struct look *before, const struct look_object *was,
			 struct look_object *object, uint64_t since_ns)
{
	object->standing_ns = 0;
	object->since_ns = since_ns;
	if (was->joined.index >= 0)
		object->earlier = before->sockets.list[was->joined.index].now;
}

void look_compare(const struct look *before, struct look *later)
{
	uint64_t between =
		later->began_ns > before->taken_ns ? later->began_ns - before->taken_ns : 0;

	later->compared_ns = later->taken_ns - before->taken_ns;
	for (unsigned i = 0; i < later->count; i++) {
		struct look_object *object = &later->objects[i];
		const struct look_object *was = find(before, object->ssl.address);

		if (!was)
			continue;
		object->moved = !is_same(&was->ssl, &object->ssl);
		if (object->moved)
			note_earlier(before, was, object, later->compared_ns);
		else if (object->standing_ns < between)
			object->standing_ns = between;
	}
}

bool look_is_undated(const struct look *look)
{
	for (unsigned i = 0; i < look->count; i++) {
		if (look_is_handshake(&look->objects[i]) && !look->objects[i].standing_ns)
			return true;
	}
	return false;
}
