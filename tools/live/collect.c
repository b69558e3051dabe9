/* SPDX-License-Identifier: Apache-2.0 */
#include "live/collect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "diagnosis/facts.h"
#include "trace/directory.h"

/* ---- files -------------------------------------------------------------------- */

static struct live_file *find_file(const struct live *live, const char *path)
{
	for (unsigned i = 0; i < live->file_count; i++) {
		if (!strcmp(live->files[i]->path, path))
			return live->files[i];
	}
	return NULL;
}

static struct live_file *add_file(struct live *live, const struct trace_entry *entry)
{
	struct live_file **files =
		reallocarray(live->files, live->file_count + 1, sizeof(*live->files));
	struct live_file *file = calloc(1, sizeof(*file));

	if (files)
		live->files = files;
	if (file)
		file->path = strdup(entry->path);
	if (!files || !file || !file->path) {
		free(file);
		return NULL;
	}
	file->pid = entry->pid;
	file->start_time = entry->start_time;
	files[live->file_count++] = file;
	return file;
}

static void close_file(struct live_file *file)
{
	if (file->trace)
		trace_close(file->trace);
	free(file->path);
	free(file);
}

static void note_problem(struct live *live, const char *path, const char *what)
{
	if (!live->problem[0])
		snprintf(live->problem, sizeof(live->problem), "%.120s: %.70s", path, what);
}

/* One that is still being made is there the next time. */
static void open_file(struct live *live, struct live_file *file)
{
	int error = trace_open_path(file->path, &file->trace);

	if (!error)
		return;
	file->listed = false;
	file->trace = NULL;
	if (error == TRACE_ERROR_UNFINISHED || (error == TRACE_ERROR_IO && errno == ENOENT))
		return;
	live->unreadable++;
	note_problem(live, file->path,
		     error == TRACE_ERROR_IO ? strerror(errno) : trace_strerror(NULL, error));
}

/* A trace whose only process is over is not read again and again. */
static bool is_wanted(const struct live *live, const struct trace_entry *entry,
		      const struct live_file *known)
{
	if (live->dead || (known && known->trace) ||
	    trace_process_alive(entry->pid, entry->start_time))
		return true;
	return !known;
}

static int take_entry(struct live *live, const struct trace_entry *entry)
{
	struct live_file *file = find_file(live, entry->path);

	if (entry->failed) {
		if (trace_process_alive(entry->pid, entry->start_time)) {
			live->untraced++;
			note_problem(live, entry->path, "this process could not be traced");
		}
		return 0;
	}
	if (!is_wanted(live, entry, file)) {
		file->listed = true;
		return 0;
	}
	if (!file)
		file = add_file(live, entry);
	if (!file)
		return -1;
	file->listed = true;
	if (!file->trace)
		open_file(live, file);
	return 0;
}

/* Where they lie was said, or everywhere. */
static char **search_path(void)
{
	const char *said = getenv("TLSTALL_DIR");
	char **only;

	if (!said || said[0] != '/')
		return trace_search_path();
	only = calloc(2, sizeof(*only));
	if (only)
		only[0] = strdup(said);
	return only;
}

static int list_files(struct live *live)
{
	char **directories = search_path();
	struct trace_list list = {0};
	int result = directories ? 0 : -1;

	for (char **directory = directories; directory && *directory; directory++) {
		if (trace_list_add(&list, *directory) && errno != ENOENT) {
			live->unreadable++;
			note_problem(live, *directory, strerror(errno));
		}
	}
	for (unsigned i = 0; i < list.count && !result; i++)
		result = take_entry(live, &list.entries[i]);
	trace_list_free(&list);
	trace_search_path_free(directories);
	return result;
}

static void forget_unlisted(struct live *live)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < live->file_count; i++) {
		if (live->files[i]->listed)
			live->files[kept++] = live->files[i];
		else
			close_file(live->files[i]);
	}
	live->file_count = kept;
}

/* Of the traces of one process the one of its latest image is being written. */
static void mark_replaced(struct live *live)
{
	for (unsigned i = 0; i < live->file_count; i++) {
		struct live_file *file = live->files[i];

		file->replaced = false;
		for (unsigned j = 0; j < live->file_count && file->trace; j++) {
			const struct live_file *other = live->files[j];

			if (other->trace && other->pid == file->pid &&
			    other->start_time == file->start_time &&
			    trace_header(other->trace)->image > trace_header(file->trace)->image)
				file->replaced = true;
		}
	}
}

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
	struct neighbours *neighbours; /* read when first needed */
	uint64_t recent;	       /* ends after this are */
};

static const struct neighbours *neighbours_of(struct reading *reading)
{
	if (!reading->neighbours)
		neighbours_read(reading->file->trace, &reading->neighbours);
	return reading->neighbours;
}

static struct subject *make_subject(struct reading *reading, const struct tlstall_handshake *h)
{
	struct trace *trace = reading->file->trace;
	bool alive = is_alive(reading->file, h->process);
	struct subject *subject = calloc(1, sizeof(*subject));
	struct tlstall_handshake copy = *h;
	struct kernel_view view;
	struct tlstall_process process;

	if (!subject)
		return NULL;
	if (alive && !trace_process(trace, h->process, &process)) {
		kernel_look((pid_t)process.pid, h, &view);
		/* behind a BIO of the program's own only the kernel knows */
		if (!copy.peer.family)
			copy.peer = view.peer;
		subject_make(trace, &copy, &view, subject);
	} else {
		subject_make(trace, &copy, kernel_recall(trace, h, &view) ? &view : NULL, subject);
	}
	if (subject_is_bad(subject) && neighbours_of(reading)) {
		neighbours_add(reading->neighbours, &subject->facts);
		subject->verdict_count =
			diagnose(&subject->facts, subject->verdicts, SUBJECT_VERDICTS);
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
	struct tlstall_process process;

	return !live->pid ||
	       (!trace_process(trace, index, &process) && (pid_t)process.pid == live->pid);
}

/* The first read after the handshake belongs to it. */
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

static int take_handshake(struct reading *reading, const struct tlstall_handshake *h)
{
	const struct live_file *file = reading->file;

	if (h->end) {
		count_ended(reading, h);
		return hangs_in_read(file, h) ? add_if_bad(reading, h) : 0;
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
	file->tally = (struct live_tally){0};
	for (unsigned slot = 0; slot < trace_slot_count(file->trace) && !result; slot++) {
		if (!trace_handshake(file->trace, slot, &h))
			result = take_handshake(&reading, &h);
	}
	if (reading.neighbours)
		neighbours_free(reading.neighbours);
	return result;
}

/* ---- all of it ------------------------------------------------------------------------ */

static int oldest_first(const void *a, const void *b)
{
	const struct subject *x = *(struct subject *const *)a, *y = *(struct subject *const *)b;
	uint64_t one = trace_realtime_ns(x->trace, x->h.start);
	uint64_t other = trace_realtime_ns(y->trace, y->h.start);

	return one < other ? -1 : one > other;
}

static void free_subjects(struct live *live)
{
	for (unsigned i = 0; i < live->subject_count; i++)
		free(live->subjects[i]);
	free(live->subjects);
	live->subjects = NULL;
	live->subject_count = 0;
}

/* Each trace is an open file. */
static void allow_many_files(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* What ended in short-lived processes counts for a while, then the trace is let go. */
static int read_file(struct live *live, struct live_file *file)
{
	const struct live_tally *tally = &file->tally;
	int result;

	trace_refresh(file->trace);
	file->alive = any_alive(file);
	result = read_handshakes(live, file);
	file->shown =
		file->alive || tally->recent_ok || tally->recent_failed || tally->recent_abandoned;
	if (file->shown || live->dead)
		return result;
	trace_close(file->trace);
	file->trace = NULL;
	file->tally = (struct live_tally){0};
	return result;
}

int live_refresh(struct live *live)
{
	int result;

	if (!live->files)
		allow_many_files();
	free_subjects(live);
	live->unreadable = live->untraced = 0;
	live->problem[0] = '\0';
	for (unsigned i = 0; i < live->file_count; i++)
		live->files[i]->listed = live->files[i]->alive = live->files[i]->shown = false;
	result = list_files(live);
	forget_unlisted(live);
	mark_replaced(live);
	for (unsigned i = 0; i < live->file_count && !result; i++) {
		if (live->files[i]->trace)
			result = read_file(live, live->files[i]);
	}
	if (live->subject_count)
		qsort(live->subjects, live->subject_count, sizeof(*live->subjects), oldest_first);
	return result;
}

void live_close(struct live *live)
{
	free_subjects(live);
	for (unsigned i = 0; i < live->file_count; i++)
		close_file(live->files[i]);
	free(live->files);
	*live = (struct live){0};
}

static bool writes_to(const struct live_file *file, pid_t pid)
{
	const struct tlstall_header *header = trace_header(file->trace);
	unsigned room = header->section[TLSTALL_SECTION_PROCESSES].count;
	struct tlstall_process process;

	for (unsigned i = 0; i < header->process_count && i < room; i++) {
		if (!trace_process(file->trace, i, &process) && (pid_t)process.pid == pid &&
		    is_alive(file, i))
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

bool live_is_alive(const struct live *live, const struct subject *subject)
{
	for (unsigned i = 0; i < live->file_count; i++) {
		if (live->files[i]->trace == subject->trace)
			return is_alive(live->files[i], subject->h.process);
	}
	return false;
}

void live_places(char *buffer, size_t size)
{
	char **directories = search_path();
	unsigned count = 0;

	while (directories && directories[count])
		count++;
	if (count > 1)
		snprintf(buffer, size, "%s nor %u other places", directories[0], count - 1);
	else
		snprintf(buffer, size, "%s", count ? directories[0] : "");
	trace_search_path_free(directories);
}
