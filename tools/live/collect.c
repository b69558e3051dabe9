/* SPDX-License-Identifier: Apache-2.0 */
#include "live/collect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "diagnosis/facts.h"
#include "live/files.h"
#include "live/untraced.h"

/* ---- processes ------------------------------------------------------------------- */

static bool is_alive(const struct live_file *file, unsigned process)
{
	return trace_alive(file->trace, process) && !(process == 0 && file->replaced);
}

static bool any_alive(const struct live_file *file)
{
	const struct tlstall_header *header = trace_header(file->trace);
	unsigned room = header->section[TLSTALL_SECTION_PROCESSES].count;

	for (unsigned i = 0; i < header->process_count && i < room; i++) {
		if (is_alive(file, i))
			return true;
	}
	return false;
}

/* ---- handshakes -------------------------------------------------------------------- */

struct reading {
	struct live *live;
	struct live_file *file;
	struct neighbors *neighbors; /* read when first needed */
	uint64_t recent;	       /* ends after this count as recent */
	unsigned slot;
};

static const struct neighbors *neighbors_of(struct reading *reading)
{
	if (!reading->neighbors)
		neighbors_read(reading->file->trace, &reading->neighbors);
	return reading->neighbors;
}

static struct subject *make_subject(struct reading *reading, const struct tlstall_handshake *h)
{
	struct trace *trace = reading->file->trace;
	bool alive = is_alive(reading->file, h->process);
	struct subject *subject = calloc(1, sizeof(*subject));
	struct tlstall_handshake copy = *h;
	struct kernel_view view;

	if (!subject)
		return NULL;
	if (alive) {
		look_at(&reading->live->looker, trace_pid_here(trace, h->process), h,
			trace_horizon(trace, h->process), &view);
		/* behind a BIO of the program's own, only the kernel knows the peer */
		if (!copy.peer.family)
			copy.peer = view.peer;
		subject_make(trace, &copy, &view, subject);
	} else {
		subject_make(trace, &copy, kernel_recall(trace, h, &view) ? &view : NULL, subject);
	}
	subject->slot = reading->slot;
	if ((subject_is_bad(subject) || subject->facts.age_ns >= SLOW_HANDSHAKE_NS) &&
	    neighbors_of(reading)) {
		neighbors_add(reading->neighbors, h, &subject->facts);
		subject_judge(subject);
	}
	return subject;
}

static int add_subject(struct live *live, struct subject *subject)
{
	struct subject **subjects =
		reallocarray(live->subjects, live->subject_count + 1, sizeof(*live->subjects));

	if (subjects)
		live->subjects = subjects;
	if (!subjects || !subject) {
		free(subject);
		return -1;
	}
	subjects[live->subject_count++] = subject;
	return 0;
}

static void count_ended(struct reading *reading, const struct tlstall_handshake *h)
{
	struct live_tally *tally = &reading->file->tally;
	bool recent = trace_realtime_ns(reading->file->trace, h->end) >= reading->recent;

	switch (h->outcome) {
	case TLSTALL_OUTCOME_OK:
		tally->ok++;
		tally->recent_ok += recent;
		break;
	case TLSTALL_OUTCOME_FAILED:
		tally->failed++;
		tally->recent_failed += recent;
		break;
	default:
		tally->abandoned++;
		tally->recent_abandoned += recent;
	}
}

static bool is_of_process(const struct live *live, struct trace *trace, unsigned index)
{
	return !live->pid || trace_pid_here(trace, index) == live->pid;
}

/* A program goes on calling after a failure if its last such call was made within this time. */
#define REPEATED_NS 1000000000ull

/* It failed, and the program goes on calling. */
static bool is_repeated(const struct live_file *file, const struct tlstall_handshake *h)
{
	uint64_t now = trace_horizon(file->trace, h->process);

	return h->outcome == TLSTALL_OUTCOME_FAILED && h->fatal_last && !h->freed &&
	       is_alive(file, h->process) && now > h->fatal_last &&
	       trace_span_ns(file->trace, now - h->fatal_last) < REPEATED_NS;
}

/* The first read after a handshake counts as part of it. */
static bool hangs_in_read(const struct live_file *file, const struct tlstall_handshake *h)
{
	return h->enter && h->outcome == TLSTALL_OUTCOME_OK && is_alive(file, h->process);
}

static int add_if_bad(struct reading *reading, const struct tlstall_handshake *h)
{
	struct subject *subject;

	if (!is_of_process(reading->live, reading->file->trace, h->process))
		return 0;
	subject = make_subject(reading, h);
	if (subject && subject->verdicts[0].cause == CAUSE_NONE) {
		free(subject);
		return 0;
	}
	return add_subject(reading->live, subject);
}

/*
 * A slot whose new owner has not entered its first op is not shown: all its fields are 0 and would
 * read as an SSL_connect that began just now.
 */
static bool is_set_up(const struct tlstall_handshake *h)
{
	return h->status != TLSTALL_SLOT_LIVE || h->calls || h->enter || h->leave || h->end ||
	       (h->flags & TLSTALL_HS_INTERNAL);
}

/* It began after the moment that is shown, so its age would be negative, or at that moment: it has none yet. */
static bool began_since(const struct live_file *file, const struct tlstall_handshake *h)
{
	uint64_t now = trace_horizon(file->trace, h->process);

	return is_alive(file, h->process) && (h->start >= now || !trace_span_ns(file->trace, now - h->start));
}

static int take_handshake(struct reading *reading, const struct tlstall_handshake *h)
{
	const struct live_file *file = reading->file;

	if (!is_set_up(h) || began_since(file, h))
		return 0;
	if (h->end) {
		count_ended(reading, h);
		return hangs_in_read(file, h) || is_repeated(file, h) ? add_if_bad(reading, h) : 0;
	}
	if (!is_alive(file, h->process) && !reading->live->dead)
		return 0;
	if (is_alive(file, h->process))
		reading->file->tally.in_flight++;
	if (!is_of_process(reading->live, file->trace, h->process))
		return 0;
	return add_subject(reading->live, make_subject(reading, h));
}

static int read_handshakes(struct live *live, struct live_file *file)
{
	struct tlstall_clock_pair now = trace_read_clock(file->trace);
	struct reading reading = {
		.live = live,
		.file = file,
		.recent = now.realtime_ns - LIVE_RECENT_S * 1000000000ull,
	};
	struct tlstall_handshake h;
	int result = 0;

	trace_set_now(file->trace, now);
	for (; reading.slot < trace_slots_used(file->trace) && !result; reading.slot++) {
		if (!trace_handshake(file->trace, reading.slot, &h))
			result = take_handshake(&reading, &h);
	}
	if (reading.neighbors)
		neighbors_free(reading.neighbors);
	return result;
}

bool live_again(struct subject *subject)
{
	struct trace *trace = subject->trace;
	unsigned slot = subject->slot;
	struct kernel_view view = subject->live;
	struct tlstall_handshake h;

	if (trace_handshake(trace, slot, &h) || h.number != subject->h.number ||
	    (h.end && !subject->h.end))
		return false;
	trace_set_now(trace, trace_read_clock(trace));
	subject_look(trace, &h, &view, subject);
	subject->slot = slot;
	return true;
}

/* ---- a trace ----------------------------------------------------------------------- */

static void take_identity(struct live_file *file)
{
	const struct tlstall_header *header = trace_header(file->trace);

	memcpy(file->comm, header->comm, sizeof(header->comm));
	process_pid(trace_pid_here(file->trace, 0), header->pid, file->pid);
}

/*
 * Ends of handshakes in short-lived processes count for a while. A trace stays open only as long as
 * it is needed.
 */
static int read_file(struct live *live, struct live_file *file)
{
	const struct live_tally *tally = &file->tally;
	unsigned before = live->subject_count;
	int result;

	take_identity(file);
	file->read = true;
	file->alive = any_alive(file);
	result = read_handshakes(live, file);
	file->shown =
		file->alive || tally->recent_ok || tally->recent_failed || tally->recent_abandoned;
	if (file->alive || live->subject_count > before)
		return result;
	trace_close(file->trace);
	file->trace = NULL;
	file->history = !file->shown;
	return result;
}

/* ---- all of it ------------------------------------------------------------------------ */

static int oldest_first(const void *a, const void *b)
{
	const struct subject *x = *(struct subject *const *)a, *y = *(struct subject *const *)b;
	uint64_t one = trace_start_ns(x->trace, &x->h);
	uint64_t other = trace_start_ns(y->trace, &y->h);

	return one < other ? -1 : one > other;
}

static void forget_reading(struct live_file *file)
{
	file->listed = file->alive = file->shown = file->read = false;
	file->tally = (struct live_tally){0};
}

static void free_subjects(struct live *live)
{
	for (unsigned i = 0; i < live->subject_count; i++)
		free(live->subjects[i]);
	free(live->subjects);
	live->subjects = NULL;
	live->subject_count = 0;
	untraced_free(live);
}

int live_refresh(struct live *live)
{
	int result;

	free_subjects(live);
	live->problem[0] = '\0';
	for (unsigned i = 0; i < live->file_count; i++)
		forget_reading(live->files[i]);
	result = files_list(live, read_file);
	files_forget_unlisted(live);
	if (files_mark_replaced(live))
		result = -1;
	for (unsigned i = 0; i < live->file_count && !result; i++) {
		struct live_file *file = live->files[i];

		if (!file->trace || file->read)
			continue;
		trace_refresh(file->trace);
		result = read_file(live, file);
	}
	if (live->look && !result)
		result = untraced_add(live, live_find);
	if (live->subject_count)
		qsort(live->subjects, live->subject_count, sizeof(*live->subjects), oldest_first);
	return result;
}

void live_close(struct live *live)
{
	free_subjects(live);
	looker_free(&live->looker);
	for (unsigned i = 0; i < live->file_count; i++)
		files_close(live->files[i]);
	free(live->files);
	*live = (struct live){0};
}

static bool writes_to(const struct live_file *file, pid_t pid)
{
	const struct tlstall_header *header = trace_header(file->trace);
	unsigned room = header->section[TLSTALL_SECTION_PROCESSES].count;

	for (unsigned i = 0; i < header->process_count && i < room; i++) {
		if (is_alive(file, i) && trace_pid_here(file->trace, i) == pid)
			return true;
	}
	return false;
}

struct live_file *live_find(const struct live *live, pid_t pid)
{
	for (unsigned i = 0; i < live->file_count; i++) {
		if (live->files[i]->trace && writes_to(live->files[i], pid))
			return live->files[i];
	}
	return NULL;
}
