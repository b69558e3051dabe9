/* SPDX-License-Identifier: Apache-2.0 */
#include "live/looked_text.h"

#include <string.h>

#include "live/stack.h"
#include "text/print.h"
#include "trace/host.h"
#include "view/paragraph.h"
#include "view/record.h"
#include "words/words.h"

bool looked_is_mute(const struct process_socket *socket)
{
	return socket->accepted && !socket->objects &&
	       socket->now.bytes_received == socket->now.inq;
}

static unsigned not_begun(const struct look *look)
{
	unsigned count = 0;

	for (unsigned i = 0; i < look->count; i++)
		count += look->objects[i].ssl.in_before;
	return count;
}

static unsigned moved(const struct look *look)
{
	unsigned count = 0;

	for (unsigned i = 0; i < look->count; i++)
		count += look_is_handshake(&look->objects[i]) && look->objects[i].moved;
	return count;
}

/* ---- for people --------------------------------------------------------------------- */

/* Why handshakes could not be read: the first reason. */
static void write_trouble(FILE *out, const struct look *look)
{
	const char *name = accessor_name(look->trouble.accessor);

	print(out, "  %u possible TLS object%s could not be queried: ", look->unreadable,
	      word_s(look->unreadable));
	switch (look->trouble.result) {
	case SANDBOX_SYSCALL:
		print(out, "%s called system call %d\n", name, (int)look->trouble.value);
		break;
	case SANDBOX_FAULT:
		print(out, "%s raised signal %d\n", name, (int)look->trouble.value);
		break;
	case SANDBOX_LATE:
		print(out, "%s took too long\n", name);
		break;
	case SANDBOX_DIED:
		print(out, "%s ended the querying child\n", name);
		break;
	default:
		print(out, "no more querying children could be started\n");
	}
}

/* What two looks tell. */
static void write_progress(FILE *out, const struct look *look)
{
	char between[WORD_SIZE];

	if (look->compared_ns && look->in_handshake)
		print(out, "; in %s, %u made progress", word_duration(look->compared_ns, between),
		      moved(look));
}

static void write_process(FILE *out, const struct look *look)
{
	print(out, "%s[%d], seen from outside: %u TLS object%s, %u in a handshake", look->comm,
	      look->pid, look->count, word_s(look->count), look->in_handshake);
	if (not_begun(look))
		print(out, ", %u not started", not_begun(look));
	write_progress(out, look);
	putc('\n', out);
	if (look->unreadable)
		write_trouble(out, look);
	if (look->skipped)
		print(out, "  %u MiB of its memory was not searched: it took too long\n",
		      (unsigned)(look->skipped >> 20));
}

static void write_socket(FILE *out, const struct process_socket *socket)
{
	char local[WORD_SIZE], peer[WORD_SIZE], since[WORD_SIZE];

	print(out, "  descriptor %d: %s connected to %s and ", socket->fd,
	      word_address(&socket->peer, peer), word_address(&socket->local, local));
	if (socket->now.inq)
		print(out, "its first %u B are still unread", socket->now.inq);
	else
		print(out, "sent nothing");
	print(out, " for %s; no TLS object yet\n",
	      word_duration(socket->now.last_data_recv_ms * 1000000ull, since));
}

static void write_handshake(FILE *out, struct subject *subject, struct symbols *symbols,
			    bool color)
{
	pid_t tid = host_thread(subject->pid_here, (pid_t)subject->h.tid);
	struct unwound unwound = {.count = 0};
	char text[2048], where[128];
	bool seen =
		subject->h.tid && !stack_explain(subject, symbols, &unwound, text, sizeof(text));

	putc('\n', out);
	/* the stack is printed below, so the paragraph leaves it out */
	paragraph_write(out, subject, seen ? NULL : symbols, color);
	if (seen) {
		stack_where(subject->pid_here, tid, subject->live.own_fd, &unwound, where,
			    sizeof(where));
		print(out, "  thread %d %s%s\n", tid, where,
		      stack_when(subject, &unwound, symbols));
		stack_write(out, &unwound, symbols, "    ");
	}
	subject->facts.stack_symbols = NULL;
}

void looked_write(FILE *out, struct looked *looked, struct symbols *symbols, bool color)
{
	const struct process_sockets *sockets = &looked->look.sockets;

	write_process(out, &looked->look);
	for (unsigned i = 0; i < sockets->count; i++) {
		if (looked_is_mute(&sockets->list[i]))
			write_socket(out, &sockets->list[i]);
	}
	for (unsigned i = 0; i < looked->count; i++)
		write_handshake(out, looked->subjects[i], symbols, color);
}

/* ---- for scripts ----------------------------------------------------------------------- */

static void set_mute_sockets(struct json_line *record, const struct process_sockets *sockets)
{
	char word[WORD_SIZE];

	member_array(record, "without_object");
	for (unsigned i = 0; i < sockets->count; i++) {
		const struct process_socket *socket = &sockets->list[i];

		if (!looked_is_mute(socket))
			continue;
		member_object(record, NULL);
		member_number(record, "fd", (uint64_t)socket->fd);
		member_text(record, "local", word_address(&socket->local, word));
		member_text(record, "peer", word_address(&socket->peer, word));
		member_number(record, "unread", socket->now.inq);
		member_number(record, "duration_ns", socket->now.last_data_recv_ms * 1000000ull);
		member_end(record);
	}
	member_end(record);
}

void looked_record(struct json_line *record, const struct looked *looked)
{
	const struct look *look = &looked->look;

	record_begin(record, "look");
	member_number(record, "pid", (uint64_t)look->pid);
	member_text(record, "comm", look->comm);
	member_array(record, "libraries");
	for (unsigned i = 0; i < look->libraries.count; i++)
		member_text(record, NULL, look->libraries.list[i].path);
	member_end(record);
	member_number(record, "objects", look->count);
	member_number(record, "in_handshake", look->in_handshake);
	member_number(record, "not_begun", not_begun(look));
	if (look->compared_ns) {
		member_number(record, "compared_ns", look->compared_ns);
		member_number(record, "made_progress", moved(look));
	}
	member_number(record, "not_asked", look->unreadable);
	member_number(record, "bytes_not_searched", look->skipped);
	set_mute_sockets(record, &look->sockets);
}
