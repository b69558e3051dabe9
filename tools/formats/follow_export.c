/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/follow_export.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ending.h"
#include "formats/destination.h"
#include "live/tail.h"
#include "message.h"
#include "now.h"
#include "view/record.h"
#include "words/words.h"

#define POLL_MS 200

struct following {
	const struct format *format;
	void *context; /* of the format */
	struct json_line record;
	struct tail tail;
	struct subject *subject;
	int error; /* errno of the first failure; 0: none */
};

bool format_streams(const struct format *format)
{
	return format->kind == FORMAT_RECORDS || (format->export && format->export->streams);
}

/* ---- handshakes -------------------------------------------------------------------- */

static void put_record(struct following *f)
{
	f->format->records->put(f->context, &f->record);
}

static void on_handshake(void *context, struct tailed *from, const struct tlstall_handshake *h,
			 const struct kernel_view *view)
{
	struct following *f = context;
	const struct gathered gathered = {.subject = f->subject};

	if (f->error)
		return;
	tail_judge(from, h, view, true, f->subject);
	if (f->format->kind == FORMAT_RECORDS) {
		record_handshake(&f->record, f->subject);
		put_record(f);
	} else if (f->format->export->handshake(f->context, &gathered, from->path)) {
		f->error = errno ? errno : EIO;
	}
}

/* A format of rows has no row for this. */
static void on_lost(void *context, uint64_t count)
{
	struct following *f = context;

	if (f->format->kind == FORMAT_RECORDS) {
		record_lost(&f->record, count);
		put_record(f);
	} else {
		complain("%llu record%s overwritten before being read (a larger TLSTALL_SIZE keeps more)",
			 (unsigned long long)count, word_s(count));
	}
}

/* ---- the loop ------------------------------------------------------------------------ */

/* Flushes, for programs that are reading the output. */
static void tick(struct following *f, FILE *out)
{
	const struct format_export *export = f->format->export;

	tail_poll(&f->tail);
	if (export && export->tick && !f->error && export->tick(f->context))
		f->error = errno ? errno : EIO;
	if (out && (fflush(out) || ferror(out)) && !f->error)
		f->error = errno ? errno : EIO;
}

static void loop(struct following *f, FILE *out)
{
	/* the reader of a pipe may exit */
	struct pollfd events[] = {{ending_signals(), POLLIN, 0}, {out ? fileno(out) : -1, 0, 0}};

	signal(SIGPIPE, SIG_IGN);
	while (!f->error && !events[0].revents) {
		tick(f, out);
		poll(events, 2, POLL_MS);
		if (events[1].revents & POLLERR)
			f->error = EPIPE;
	}
	tail_poll(&f->tail);
	tail_settle(&f->tail);
	if (events[0].fd >= 0)
		close(events[0].fd);
}

static int write_all(struct following *f, const struct export_target *target)
{
	const struct format_export *export = f->format->export;
	uint64_t since_ns;
	int result;

	errno = ENOMEM;
	f->context = export ? export->begin(target) : f->format->records->begin(target->out);
	if (!f->context)
		return -1;
	since_ns = export && export->since_ns ? export->since_ns(f->context) : 0;
	if (since_ns)
		f->tail.since_ns = since_ns;
	loop(f, target->out);
	errno = ENOMEM;
	result = export ? export->end(f->context, !f->error) : f->format->records->end(f->context);
	if (!f->error)
		return result;
	errno = f->error;
	return -1;
}

int format_follow(const struct format *format, char **directories,
		  const struct export_target *target)
{
	struct export_target stream = *target;
	struct following f = {.format = format, .subject = malloc(sizeof(*f.subject))};
	const struct tail_sink sink = {on_handshake, on_lost, &f};
	struct destination to = {.what = "export"};
	int status;

	if (!f.subject)
		return fail("out of memory");
	f.tail = (struct tail){
		.sink = &sink, .only = directories, .since_ns = now_ns(CLOCK_REALTIME)};
	if (format->export && format->export->needs_path) {
		status = write_all(&f, &stream);
		if (status)
			status = fail("writing the export to %s failed: %s", target->path,
				      strerror(errno));
	} else {
		status = destination_open(&to, target->path);
		stream.out = to.out;
		if (!status)
			status = destination_keep(&to, write_all(&f, &stream));
	}
	tail_close(&f.tail);
	json_line_free(&f.record);
	free(f.subject);
	return status;
}
