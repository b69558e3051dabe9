/* SPDX-License-Identifier: Apache-2.0 */
/* Trace directories, and whether a process is the one that a name tells of. */
#include "trace/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tlstall/environment.h"

/* ---- where they are ---------------------------------------------------------- */

static const char *absolute(const char *variable)
{
	const char *value = getenv(variable);

	return value && value[0] == '/' ? value : NULL;
}

/* As the shim chooses: what is not absolute does not count. */
void trace_default_directory(char *buffer, size_t size)
{
	const char *directory = absolute("TLSTALL_DIR"), *runtime = absolute("XDG_RUNTIME_DIR");

	if (directory)
		snprintf(buffer, size, "%s", directory);
	else if (runtime)
		snprintf(buffer, size, "%s/tlstall", runtime);
	else
		snprintf(buffer, size, "/tmp/tlstall-%u", (unsigned)getuid());
}

struct path {
	char **directories;
	size_t count;
	bool failed;
};

static void add_directory(struct path *path, const char *directory)
{
	char **more;

	for (size_t i = 0; i < path->count; i++)
		if (!strcmp(path->directories[i], directory))
			return;
	more = realloc(path->directories, (path->count + 2) * sizeof(*more));
	if (more)
		path->directories = more;
	if (!more || !(more[path->count] = strdup(directory))) {
		path->failed = true;
		return;
	}
	more[++path->count] = NULL;
}

static void add_matching(struct path *path, const char *pattern)
{
	glob_t found;

	if (glob(pattern, GLOB_ONLYDIR, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			add_directory(path, found.gl_pathv[i]);
	globfree(&found);
}

char **trace_search_path(void)
{
	struct path path = {.directories = calloc(1, sizeof(char *))};
	char buffer[4096];

	if (!path.directories)
		return NULL;
	trace_default_directory(buffer, sizeof(buffer));
	add_directory(&path, buffer);
	if (absolute("XDG_RUNTIME_DIR")) {
		snprintf(buffer, sizeof(buffer), "%s/tlstall", getenv("XDG_RUNTIME_DIR"));
		add_directory(&path, buffer);
	}
	snprintf(buffer, sizeof(buffer), "/tmp/tlstall-%u", (unsigned)getuid());
	add_directory(&path, buffer);
	if (geteuid() == 0) {
		add_matching(&path, "/run/user/*/tlstall");
		add_matching(&path, "/tmp/tlstall-*");
	}
	if (!path.failed)
		return path.directories;
	trace_search_path_free(path.directories);
	return NULL;
}

void trace_search_path_free(char **directories)
{
	for (size_t i = 0; directories && directories[i]; i++)
		free(directories[i]);
	free(directories);
}

/* ---- what lies in them --------------------------------------------------------- */

static const char *parse_number(const char *text, uint64_t *value)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return NULL;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno ? NULL : end;
}

/* PID-START[-IMAGE].tlstall or PID-START.failed-REASON; *reason is NULL for the first. */
static bool parse_name(const char *name, struct trace_entry *entry, const char **reason)
{
	uint64_t pid, image;
	const char *at = parse_number(name, &pid);

	if (!at || *at != '-' || !pid || pid > INT32_MAX)
		return false;
	entry->pid = (pid_t)pid;
	at = parse_number(at + 1, &entry->start_time);
	if (!at)
		return false;
	image = 0;
	if (*at == '-')
		at = parse_number(at + 1, &image);
	if (!at || image > UINT32_MAX)
		return false;
	entry->image = (uint32_t)image;
	*reason = NULL;
	if (!strcmp(at, TLSTALL_TRACE_SUFFIX))
		return true;
	if (strncmp(at, TLSTALL_FAILED_INFIX, strlen(TLSTALL_FAILED_INFIX)) != 0)
		return false;
	*reason = at + strlen(TLSTALL_FAILED_INFIX);
	return **reason;
}

static int append(struct trace_list *list, const char *directory, const char *name,
		  struct trace_entry entry, const char *reason)
{
	struct trace_entry *more =
		realloc(list->entries, (list->count + 1) * sizeof(*list->entries));

	if (!more)
		return -1;
	list->entries = more;
	if (asprintf(&entry.path, "%s/%s", directory, name) < 0)
		return -1;
	entry.failed = reason ? strdup(reason) : NULL;
	if (reason && !entry.failed) {
		free(entry.path);
		return -1;
	}
	more[list->count++] = entry;
	return 0;
}

/* Directories and links may bear such a name too: the shim makes neither. */
static bool is_file(DIR *dir, const char *name)
{
	struct stat st;

	return !fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode);
}

static int compare(const void *a, const void *b)
{
	const struct trace_entry *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->start_time != y->start_time)
		return x->start_time < y->start_time ? -1 : 1;
	if (x->image != y->image)
		return x->image < y->image ? -1 : 1;
	return strcmp(x->path, y->path);
}

int trace_list_add(struct trace_list *list, const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *found;
	int error = 0;

	if (!dir)
		return -1;
	while (!error && (errno = 0, found = readdir(dir))) {
		struct trace_entry entry = {0};
		const char *reason;

		if (parse_name(found->d_name, &entry, &reason) && is_file(dir, found->d_name) &&
		    append(list, directory, found->d_name, entry, reason) < 0)
			error = ENOMEM;
	}
	if (!error)
		error = errno;
	closedir(dir);
	if (list->count)
		qsort(list->entries, list->count, sizeof(*list->entries), compare);
	errno = error;
	return error ? -1 : 0;
}

void trace_list_free(struct trace_list *list)
{
	for (unsigned i = 0; i < list->count; i++) {
		free(list->entries[i].path);
		free(list->entries[i].failed);
	}
	free(list->entries);
	*list = (struct trace_list){0};
}

/* ---- processes --------------------------------------------------------------------- */

/* The stat line behind the command name, which may hold anything: from field 3 on. */
static const char *read_stat(pid_t pid, char *buffer, size_t size)
{
	char path[64];
	ssize_t got;
	const char *end;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, buffer, size - 1);
	if (fd >= 0)
		close(fd);
	buffer[got > 0 ? got : 0] = '\0';
	end = strrchr(buffer, ')');
	return end && end[1] == ' ' ? end + 2 : NULL;
}

/*
 * Under an emulator (qemu-user) a process reads of itself that it started when
 * its emulator was ready: a little later than the kernel says. An id does not
 * come round again within so short a time.
 */
#define SAME_START 200u /* clock ticks, 2 s */

static bool same_start(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) <= SAME_START;
}

bool trace_process_alive(pid_t pid, uint64_t start_time)
{
	char buffer[1024], state;
	const char *stat = pid > 0 ? read_stat(pid, buffer, sizeof(buffer)) : NULL;
	uint64_t start;
	long threads;

	/* fields 3, 20 and 22 of proc(5) */
	if (!stat || sscanf(stat,
			    "%c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			    "%ld %*d %" SCNu64,
			    &state, &threads, &start) != 3)
		return false;
	if (start_time && !same_start(start, start_time))
		return false;
	/* a first thread that ended is a zombie, too, while others go on */
	return (state != 'Z' && state != 'X') || threads > 1;
}
