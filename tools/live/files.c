/* SPDX-License-Identifier: Apache-2.0 */
#include "live/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "now.h"
#include "trace/directory.h"
#include "trace/host.h"
#include "words/words.h"

/* A trace notes the time of its last activity at most this rarely. */
#define LAST_SIGN_S 2

/* ---- files -------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
	const struct live_file *x = *(struct live_file *const *)a;
	const struct live_file *y = *(struct live_file *const *)b;

	return strcmp(x->path, y->path);
}

/* Finds a file that was there the last time. */
static struct live_file *find_file(const struct live *live, const char *path)
{
	struct live_file wanted = {.path = (char *)path}, *key = &wanted, **found;

	found = live->sorted
			? bsearch(&key, live->files, live->sorted, sizeof(*live->files), by_path)
			: NULL;
	return found ? *found : NULL;
}

static int make_room(struct live *live)
{
	unsigned room = live->room ? live->room * 2 : 64;
	struct live_file **files;

	if (live->file_count < live->room)
		return 0;
	files = reallocarray(live->files, room, sizeof(*live->files));
	if (!files)
		return -1;
	live->files = files;
	live->room = room;
	return 0;
}

static struct live_file *add_file(struct live *live, const struct trace_entry *entry)
{
	struct live_file *file = make_room(live) ? NULL : calloc(1, sizeof(*file));

	if (file)
		file->path = strdup(entry->path);
	if (!file || !file->path) {
		free(file);
		return NULL;
	}
	live->files[live->file_count++] = file;
	return file;
}

void files_close(struct live_file *file)
{
	if (file->trace)
		trace_close(file->trace);
	free(file->path);
	free(file);
}

/* `pid`: of the process that has it; 0: all may have it. */
static void note_problem(struct live *live, pid_t pid, const char *path, const char *what)
{
	if (live->problem[0])
		return;
	live->problem_of = pid;
	snprintf(live->problem, sizeof(live->problem), "%.120s%s%.140s", path ? path : "",
		 path ? ": " : "", what);
}

/* A file that is not complete yet will be there the next time. */
static void open_file(struct live *live, struct live_file *file, pid_t pid)
{
	int error = trace_open_path(file->path, &file->trace);

	if (!error)
		return;
	file->listed = false;
	file->trace = NULL;
	if (error == TRACE_ERROR_UNFINISHED || (error == TRACE_ERROR_IO && errno == ENOENT))
		return;
	note_problem(live, pid, file->path,
		     error == TRACE_ERROR_IO ? strerror(errno) : trace_strerror(NULL, error));
}

/* The state of a trace that is not open: its processes live, ended recently, or ended long ago. */
static enum standing {
	LIVES,
	HAS_ENDED,
	IS_HISTORY
} standing_of(const struct trace_entry *entry, uint64_t now_ns)
{
	struct trace_glance glance;

	if (trace_glance(entry->path, &glance) || !glance.over)
		return LIVES;
	return glance.last_ns + (LIVE_RECENT_S + LAST_SIGN_S) * 1000000000ull < now_ns ? IS_HISTORY
										       : HAS_ENDED;
}

/* A note consists only of its name, which has the process's id and start as it saw them itself. */
static void take_note(struct live *live, const struct trace_entry *entry)
{
	const struct host_process process = {.pid = entry->pid, .start_time = entry->start_time};
	char what[160];
	pid_t pid = live->problem[0] ? 0 : host_find(&process);

	if (!pid)
		return;
	snprintf(what, sizeof(what), "process %d runs untraced: %s (%s)", entry->pid,
		 trace_note_words(entry->failed), entry->failed);
	note_problem(live, pid, NULL, what);
}

static int take_entry(struct live *live, const struct trace_entry *entry, uint64_t now_ns,
		      files_read *read)
{
	struct live_file *file = find_file(live, entry->path);
	enum standing standing;

	if (!file)
		file = add_file(live, entry);
	if (!file)
		return -1;
	file->listed = true;
	if (file->trace || (file->history && !live->dead))
		return 0;
	standing = standing_of(entry, now_ns);
	file->history = standing == IS_HISTORY;
	if (file->history && !live->dead)
		return 0;
	open_file(live, file, entry->pid);
	if (!file->trace || standing == LIVES)
		return 0;
	/* it will not change any more: read and close it at once, and keep no descriptor */
	trace_set_over(file->trace);
	return read(live, file);
}

/* The directories that were named, or all places where traces may lie. */
char **live_directories(void)
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

/* A process that cannot use the directory it was given leaves a note in the default one. */
static void list_notes(struct trace_list *list)
{
	char **directories = trace_search_path();

	for (char **directory = directories; directory && *directory; directory++)
		trace_list_add(list, *directory);
	trace_search_path_free(directories);
}

static int take_entries(struct live *live, const struct trace_list *list, bool notes,
			files_read *read)
{
	uint64_t now = now_ns(CLOCK_REALTIME);
	int result = 0;

	for (unsigned i = 0; i < list->count && !result; i++) {
		if (notes && list->entries[i].failed)
			take_note(live, &list->entries[i]);
		else if (!notes && !list->entries[i].failed)
			result = take_entry(live, &list->entries[i], now, read);
	}
	return result;
}

int files_list(struct live *live, files_read *read)
{
	char **directories = live_directories();
	struct trace_list list = {0};
	int result = directories ? 0 : -1;

	for (char **directory = directories; directory && *directory; directory++) {
		if (trace_list_add(&list, *directory) && errno != ENOENT)
			note_problem(live, 0, *directory, strerror(errno));
	}
	live->sorted = live->file_count;
	if (live->sorted)
		qsort(live->files, live->sorted, sizeof(*live->files), by_path);
	host_count();
	if (!result)
		result = take_entries(live, &list, false, read);
	list_notes(&list);
	take_entries(live, &list, true, read);
	host_forget();
	trace_list_free(&list);
	trace_search_path_free(directories);
	return result;
}

void files_forget_unlisted(struct live *live)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < live->file_count; i++) {
		if (live->files[i]->listed)
			live->files[kept++] = live->files[i];
		else
			files_close(live->files[i]);
	}
	live->file_count = kept;
}

static bool same_process(const struct tlstall_header *a, const struct tlstall_header *b)
{
	return a->pid == b->pid && a->start_time == b->start_time &&
	       a->pid_namespace == b->pid_namespace && a->time_namespace == b->time_namespace;
}

static int by_process(const void *a, const void *b)
{
	const struct tlstall_header *x = trace_header((*(struct live_file *const *)a)->trace);
	const struct tlstall_header *y = trace_header((*(struct live_file *const *)b)->trace);

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->start_time != y->start_time)
		return x->start_time < y->start_time ? -1 : 1;
	if (x->pid_namespace != y->pid_namespace)
		return x->pid_namespace < y->pid_namespace ? -1 : 1;
	return x->image < y->image ? -1 : x->image > y->image;
}

/* Of one process's traces, only that of its latest image is still written to. */
int files_mark_replaced(struct live *live)
{
	struct live_file **open = calloc(live->file_count + 1, sizeof(struct live_file *));
	unsigned count = 0;

	if (!open)
		return -1;
	for (unsigned i = 0; i < live->file_count; i++) {
		live->files[i]->replaced = false;
		if (live->files[i]->trace)
			open[count++] = live->files[i];
	}
	qsort(open, count, sizeof(struct live_file *), by_process);
	for (unsigned i = 1; i < count; i++) {
		const struct tlstall_header *earlier = trace_header(open[i - 1]->trace);
		const struct tlstall_header *later = trace_header(open[i]->trace);

		if (same_process(earlier, later) && earlier->image < later->image)
			open[i - 1]->replaced = true;
	}
	free(open);
	return 0;
}

void live_places(char *buffer, size_t size)
{
	char **directories = live_directories();
	unsigned count = 0;

	while (directories && directories[count])
		count++;
	if (count > 1)
		snprintf(buffer, size, "%s nor %u other place%s", directories[0], count - 1,
			 word_s(count - 1));
	else
		snprintf(buffer, size, "%s", count ? directories[0] : "");
	trace_search_path_free(directories);
}

void live_absence(const struct live *live, pid_t pid, char *buffer, size_t size)
{
	char path[64], places[1024];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	live_places(places, sizeof(places));
	if (!host_runs_program(pid, buffer, size))
		return;
	if (geteuid() && !stat(path, &st) && st.st_uid != geteuid())
		snprintf(buffer, size,
			 "process %d belongs to user %u, whose traces user %u cannot see (run this "
			 "as that user or as root)",
			 pid, st.st_uid, geteuid());
	else if (host_is_loading(pid))
		snprintf(buffer, size, "process %d has not loaded its libraries yet, so nothing traces it (tlstall stack --all %d shows where it is)",
			 pid, pid);
	else if (live->problem[0] && (!live->problem_of || live->problem_of == pid))
		snprintf(buffer, size, "process %d is not traced (%.200s)", pid, live->problem);
	else
		snprintf(buffer, size,
			 "process %d is not traced (no trace of it in %s; tlstall check %d says where it is, or why there is none)", pid,
			 places, pid);
}
