/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/sender.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "message.h"
#include "now.h"
#include "words/words.h"

#define S 1000000000ull
/* Waiting for room ends if nothing was accepted for this long. */
#define PATIENCE_NS (60 * S)
/* After following: ending must not take long. */
#define END_NS (5 * S)
/* zlib: the window of 32 KiB, and the header of gzip */
#define GZIP_WINDOW (15 + 16)

struct sender {
	struct sender_options options;
	struct http_post *post;
	struct spool *spool;
	unsigned char *packed;
	size_t packed_size;
	unsigned items;	   /* in the batch being sent */
	uint64_t taken_ns; /* CLOCK_MONOTONIC, of the last success */
	uint64_t dropped, refused;
};

/* ---- one batch ------------------------------------------------------------------------- */

static bool pack(struct sender *s, const struct spool_batch *batch)
{
	z_stream z = {.next_in = (unsigned char *)batch->bytes, .avail_in = (uInt)batch->size};
	size_t room;

	if (deflateInit2(&z, 1, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	room = deflateBound(&z, (uLong)batch->size);
	s->packed = malloc(room);
	z.next_out = s->packed;
	z.avail_out = (uInt)room;
	s->packed_size = s->packed && deflate(&z, Z_FINISH) == Z_STREAM_END ? z.total_out : 0;
	deflateEnd(&z);
	return s->packed_size;
}

static void forget_packed(struct sender *s)
{
	free(s->packed);
	s->packed = NULL;
}

static void start(struct sender *s, bool now)
{
	struct spool_batch batch;

	if (!spool_first(s->spool, now, &batch))
		return;
	s->items = batch.items;
	forget_packed(s);
	if (!s->options.pack)
		http_post_start(s->post, batch.bytes, batch.size);
	else if (pack(s, &batch))
		http_post_start(s->post, s->packed, s->packed_size);
}

/* How much of "spans" to write after a number. */
static int noun(const struct sender *s, uint64_t count)
{
	return (int)strlen(s->options.target.what) - (count == 1);
}

static const char *they_are(uint64_t count)
{
	return count == 1 ? "it is" : "they are";
}

static void set_aside(struct sender *s)
{
	const struct http_target *target = &s->options.target;
	char where[4096];

	if (spool_refused(s->spool, where, sizeof(where)))
		complain("%s refused %u %.*s: %s; %s in %s (once the cause is repaired, rename it to "
			 ".rows: the next run sends it)",
			 target->whom, s->items, noun(s, s->items), target->what,
			 http_post_answer(s->post), they_are(s->items), where);
	else
		complain("%s refused %u %.*s: %s; %s dropped", target->whom, s->items,
			 noun(s, s->items), target->what, http_post_answer(s->post),
			 they_are(s->items));
	s->refused += s->items;
}

/* The server took the batch, but not all that is in it. */
static void count_refused(struct sender *s)
{
	const struct http_target *target = &s->options.target;
	uint64_t count = http_post_refused(s->post);

	if (!count)
		return;
	complain("%s refused %llu of %u %.*s: %s; %s dropped", target->whom,
		 (unsigned long long)count, s->items, noun(s, s->items), target->what,
		 http_post_answer(s->post), they_are(count));
	s->refused += count;
}

static void settle(struct sender *s, enum http_result result)
{
	if (result == HTTP_NOTHING || (result == HTTP_DOUBTED && !spool_failed(s->spool)))
		return;
	s->taken_ns = now_ns(CLOCK_MONOTONIC);
	if (result != HTTP_TAKEN) {
		set_aside(s);
		return;
	}
	count_refused(s);
	spool_taken(s->spool);
}

static void drive(struct sender *s, bool now)
{
	if (http_post_is_free(s->post))
		start(s, now);
	settle(s, http_post_step(s->post));
}

/* Sends until at most `bytes` wait. */
static int drive_until(struct sender *s, uint64_t bytes, uint64_t patience_ns)
{
	uint64_t since = now_ns(CLOCK_MONOTONIC);

	while (spool_waiting(s->spool) > bytes) {
		drive(s, true);
		if (spool_waiting(s->spool) <= bytes)
			break;
		http_post_wait(s->post, 20);
		if (s->taken_ns > since)
			since = s->taken_ns;
		if (now_ns(CLOCK_MONOTONIC) - since > patience_ns) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
	return 0;
}

int sender_add(struct sender *s, const void *item, size_t size)
{
	uint64_t half = s->options.spool.bytes / 2;

	/* make room before it is needed, so that the spool never counts as full */
	if (s->options.patient && spool_waiting(s->spool) + size > s->options.spool.bytes &&
	    drive_until(s, half, PATIENCE_NS))
		return -1;
	if (spool_add(s->spool, item, size))
		s->dropped++;
	if (s->options.patient)
		drive(s, false);
	return 0;
}

void sender_tick(struct sender *s)
{
	spool_note_time(s->spool);
	drive(s, false);
}

uint64_t sender_noted_ns(const struct sender *s)
{
	return spool_noted_ns(s->spool);
}

/* ---- begin and end ------------------------------------------------------------------------ */

struct sender *sender_open(const struct sender_options *options)
{
	struct sender *s = calloc(1, sizeof(*s));
	int error;

	if (!s)
		return NULL;
	s->options = *options;
	s->options.spool.what = options->target.what;
	s->post = http_post_open(&options->target);
	if (s->post)
		s->spool = spool_open(&s->options.spool);
	if (s->spool) {
		if (options->pack)
			http_post_header(s->post, "Content-Encoding: gzip");
		return s;
	}
	error = errno;
	http_post_close(s->post);
	free(s);
	errno = error;
	return NULL;
}

int sender_header(struct sender *s, const char *name, const char *value)
{
	char *text;

	for (const char *c = value; *c; c++) {
		if (iscntrl((unsigned char)*c)) {
			complain("control characters cannot be sent in the header %s", name);
			errno = EINVAL;
			return -1;
		}
	}
	if (asprintf(&text, "%s: %s", name, value) < 0)
		return -1;
	http_post_header(s->post, text);
	free(text);
	return 0;
}

/* What is in files will be sent by the next run; the rest is lost. */
static int tell_rest(struct sender *s)
{
	const struct http_target *target = &s->options.target;
	uint64_t kept = spool_kept(s->spool), risk = spool_at_risk(s->spool);
	char size[WORD_SIZE];

	s->dropped += s->refused + risk;
	if (s->dropped)
		complain("%s did not accept %llu %.*s", target->whom, (unsigned long long)s->dropped,
			 noun(s, s->dropped), target->what);
	if (kept)
		complain("%s of %s remain in %s for the next run", word_size(kept, size),
			 target->what, s->options.spool.directory);
	errno = kept && !s->dropped ? ETIMEDOUT : EIO;
	return s->dropped || (kept && s->options.patient) ? -1 : 0;
}

int sender_close(struct sender *s, bool whole)
{
	int result, error;

	if (whole)
		drive_until(s, 0, s->options.patient ? PATIENCE_NS : END_NS);
	result = tell_rest(s);
	error = errno;
	http_post_close(s->post);
	spool_close(s->spool);
	forget_packed(s);
	free(s);
	errno = error;
	return result;
}
