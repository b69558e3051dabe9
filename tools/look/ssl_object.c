/* SPDX-License-Identifier: Apache-2.0 */
#include "look/ssl_object.h"

#include <stdio.h>
#include <string.h>

#include "look/memory.h"
#include "tlstall/state_names.h"

struct questions {
	struct sandbox *sandbox;
	int memory;
	const struct libssl_copy *library;
	struct trouble trouble;
	bool failed;
};

/*
 * Returns 0 and sets `failed` if the answer cannot be had. An accessor that the library lacks is
 * not missed.
 */
static uint64_t ask(struct questions *q, enum accessor accessor, uint64_t first, uint64_t second)
{
	uint64_t function = q->library->function[accessor], value = 0;
	enum sandbox_result result;

	if (q->failed || !function)
		return 0;
	result = sandbox_call(q->sandbox, function, first, second, &value);
	if (result == SANDBOX_RETURNED)
		return value;
	q->trouble = (struct trouble){accessor, result, value};
	q->failed = true;
	return 0;
}

/* For accessors that return an int. */
static int ask_int(struct questions *q, enum accessor accessor, uint64_t first)
{
	return (int)(uint32_t)ask(q, accessor, first, 0);
}

/* Reads the string that the accessor returned, without running anything. */
static void ask_text(struct questions *q, enum accessor accessor, uint64_t first, char *buffer,
		     size_t size)
{
	uint64_t text = ask(q, accessor, first, 0);

	buffer[0] = '\0';
	if (text)
		memory_text(q->memory, text, buffer, size);
}

/* ---- is it one? --------------------------------------------------------------------- */

/* An SSL_CTX has a method of the same library as its first or second word. */
static bool is_context(const struct questions *q, uint64_t context)
{
	uint64_t words[2];

	if (!context || !memory_read(q->memory, context, words, sizeof(words)))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		if (words[i] >= q->library->start && words[i] < q->library->end)
			return true;
	}
	return false;
}

/* Answers that OpenSSL never gives mean that this is something else. */
static bool is_sane(const struct ssl_object *o)
{
	return o->want >= 1 && o->want <= 16 && o->version > 0 && o->version <= 0x1ffff &&
	       o->state[0] && o->fd >= -1;
}

/*
 * A freed object has no references left. Asked last, and only about what looks like an object: this
 * writes to the copy, and where there is no object it may damage anything, so that copy is then
 * dropped.
 */
static bool is_alive(struct questions *q, uint64_t ssl)
{
	if (ask_int(q, ACCESSOR_SSL_up_ref, ssl) == 1)
		return true;
	sandbox_renew(q->sandbox);
	return false;
}

/* ---- its BIOs ------------------------------------------------------------------------ */

#define BIO_CHAIN 16
/* BIO_TYPE_*: with a descriptor, and with a buffer of their own. */
#define TYPE_DESCRIPTOR 0x0100
#define TYPE_MEMORY (1 | 0x0400)
#define TYPE_PAIR (19 | 0x0400)

static uint64_t end_of(struct questions *q, uint64_t bio)
{
	for (unsigned i = 0; i < BIO_CHAIN; i++) {
		uint64_t next = ask(q, ACCESSOR_BIO_next, bio, 0);

		if (!next)
			break;
		bio = next;
	}
	return bio;
}

static bool holds_bytes(int type, const char *name)
{
	return (type == TYPE_MEMORY && strstr(name, "memory buffer")) ||
	       (type == TYPE_PAIR && !strcmp(name, "BIO pair"));
}

static void ask_bios(struct questions *q, struct ssl_object *out)
{
	uint64_t from = ask(q, ACCESSOR_SSL_get_rbio, out->address, 0);
	uint64_t to = ask(q, ACCESSOR_SSL_get_wbio, out->address, 0);
	uint64_t end, write_end;
	bool counted = q->library->function[ACCESSOR_BIO_method_type];

	out->has_bio = from && counted;
	if (!out->has_bio)
		return;
	end = end_of(q, from);
	write_end = to && to != from ? end_of(q, to) : end;
	out->bio_type = ask_int(q, ACCESSOR_BIO_method_type, end);
	ask_text(q, ACCESSOR_BIO_method_name, end, out->bio_name, sizeof(out->bio_name));
	ask_text(q, ACCESSOR_BIO_method_name, write_end, out->write_name, sizeof(out->write_name));
	out->bytes_in = ask(q, ACCESSOR_BIO_number_read, from, 0);
	out->bytes_out = ask(q, ACCESSOR_BIO_number_written, to ? to : from, 0);
	if (out->bio_type & TYPE_DESCRIPTOR)
		out->fd = ask_int(q, ACCESSOR_SSL_get_rfd, out->address);
	if (!holds_bytes(out->bio_type, out->bio_name))
		return;
	out->pending_in = ask(q, ACCESSOR_BIO_ctrl_pending, end, 0);
	if (out->bio_type == TYPE_MEMORY)
		out->pending_out = ask(q, ACCESSOR_BIO_ctrl_pending, write_end, 0);
	else if (q->library->function[ACCESSOR_BIO_ctrl_wpending])
		out->pending_out = ask(q, ACCESSOR_BIO_ctrl_wpending, write_end, 0);
}

/* ---- its state ------------------------------------------------------------------------ */

/* A static program that never asks for the names of states was linked without them. */
static void ask_state(struct questions *q, uint64_t ssl, struct ssl_object *out)
{
	const char *text;

	if (q->library->function[ACCESSOR_SSL_state_string_long]) {
		ask_text(q, ACCESSOR_SSL_state_string_long, ssl, out->state, sizeof(out->state));
		return;
	}
	text = tlstall_state_name(q->library->function[ACCESSOR_SSL_get0_connection] != 0,
				  ask_int(q, ACCESSOR_SSL_get_state, ssl));
	snprintf(out->state, sizeof(out->state), "%s", text ? text : "");
}

/* ---- all of it ------------------------------------------------------------------------ */

static void ask_all(struct questions *q, struct ssl_object *out)
{
	uint64_t ssl = out->address;

	out->in_init = ask_int(q, ACCESSOR_SSL_in_init, ssl) != 0;
	out->in_before = ask_int(q, ACCESSOR_SSL_in_before, ssl) != 0;
	out->server = ask_int(q, ACCESSOR_SSL_is_server, ssl) != 0;
	out->want = ask_int(q, ACCESSOR_SSL_want, ssl);
	out->version = ask_int(q, ACCESSOR_SSL_version, ssl);
	ask_state(q, ssl, out);
	ask_text(q, ACCESSOR_SSL_get_servername, ssl, out->name, sizeof(out->name));
	ask_bios(q, out);
}

enum object_result ssl_object_read(struct sandbox *sandbox, int memory,
				   const struct libssl_copy *library, uint64_t address,
				   struct ssl_object *out, struct trouble *trouble)
{
	struct questions q = {.sandbox = sandbox, .memory = memory, .library = library};
	bool is;

	*out = (struct ssl_object){
		.address = address,
		.library = library,
		.fd = -1,
		.pending_in = UINT64_MAX,
		.pending_out = UINT64_MAX,
	};
	is = is_context(&q, ask(&q, ACCESSOR_SSL_get_SSL_CTX, address, 0));
	if (is)
		ask_all(&q, out);
	is = is && !q.failed && is_sane(out) && is_alive(&q, address);
	*trouble = q.trouble;
	/* accessors stumble over what is no object, or is being made or freed */
	if (q.failed && q.trouble.result != SANDBOX_FAULT)
		return OBJECT_UNREADABLE;
	return is ? OBJECT_IS : OBJECT_IS_NONE;
}
