/* SPDX-License-Identifier: Apache-2.0 */
/* Trace directories. See directory.h. */
#include "trace/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tlstall/environment.h"
#include "trace/host.h"

/* ---- where they are ---------------------------------------------------------- */

static const char *absolute(const char *variable)
{
	const char *value = getenv(variable);

	return value && value[0] == '/' ? value : NULL;
}

/* Like the shim, ignores paths that are not absolute. */
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

/* PARENT/PREFIX*BELOW. Not by glob(3), which frees names twice when memory runs out. */
static void add_matching(struct path *path, const char *parent, const char *prefix,
			 const char *below)
{
	DIR *dir = opendir(parent);
	struct dirent *entry;
	struct stat st;
	char name[512];

	path->failed |= !dir && errno == ENOMEM;
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(name, sizeof(name), "%s/%s%s", parent, entry->d_name, below);
		if (!stat(name, &st) && S_ISDIR(st.st_mode))
			add_directory(path, name);
	}
	if (dir)
		closedir(dir);
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
		add_matching(&path, "/run/user", "", "/tlstall");
		add_matching(&path, "/tmp", "tlstall-", "");
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

/* Exactly as many hexadecimal digits as a tag has. */
static const char *parse_tag(const char *text, uint64_t *tag)
{
	size_t digits = strspn(text, "0123456789abcdef");

	if (digits != TLSTALL_TAG_DIGITS)
		return NULL;
	*tag = strtoull(text, NULL, 16);
	return text + digits;
}

/* [-TAG][-IMAGE], which follows PID-START. */
static const char *parse_image(const char *at, struct trace_entry *entry)
{
	const char *tagged = *at == '-' ? parse_tag(at + 1, &entry->tag) : NULL;
	uint64_t image = 0;

	at = tagged ? tagged : at;
	if (*at == '-')
		at = parse_number(at + 1, &image);
	entry->image = (uint32_t)image;
	return image <= UINT32_MAX ? at : NULL;
}

/*
 * PID-START-TAG[-IMAGE].tlstall, then *reason is NULL, or PID-START-TAG.failed-REASON. Without the
 * tag up to format 1.2.
 */
static bool parse_name(const char *name, struct trace_entry *entry, const char **reason)
{
	uint64_t pid;
	const char *at = parse_number(name, &pid);

	if (!at || *at != '-' || !pid || pid > INT32_MAX)
		return false;
	entry->pid = (pid_t)pid;
	at = parse_number(at + 1, &entry->start_time);
	at = at ? parse_image(at, entry) : NULL;
	if (!at)
		return false;
	*reason = NULL;
	entry->making = !strcmp(at, TLSTALL_MAKING_SUFFIX);
	if (entry->making || !strcmp(at, TLSTALL_TRACE_SUFFIX))
		return true;
	if (strncmp(at, TLSTALL_FAILED_INFIX, strlen(TLSTALL_FAILED_INFIX)) != 0)
		return false;
	*reason = at + strlen(TLSTALL_FAILED_INFIX);
	return **reason;
}

const char *trace_note_words(const char *reason)
{
	static const struct {
		const char *name, *words;
	} reasons[] = {
#define REASON(name, words) {#name, words},
		TLSTALL_REASONS(REASON)
#undef REASON
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (!strcmp(reasons[i].name, reason))
			return reasons[i].words;
	return "the trace cannot be read";
}

int trace_note_of(const char *directory, pid_t pid, uint64_t start, char *reason, size_t size)
{
	struct trace_list list = {0};
	bool starved = trace_list_add(&list, directory) && errno == ENOMEM, found = false;

	for (unsigned i = 0; i < list.count && !found; i++) {
		const struct trace_entry *entry = &list.entries[i];
		const struct host_process process = {.start_time = entry->start_time};

		found = entry->failed && entry->pid == pid && host_started(&process, start);
		if (found)
			snprintf(reason, size, "%s", entry->failed);
	}
	trace_list_free(&list);
	return starved ? -1 : found;
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

/* Directories and links with such a name are not the shim's. */
static bool is_file(DIR *dir, const struct dirent *found)
{
	struct stat st;

	if (found->d_type != DT_UNKNOWN)
		return found->d_type == DT_REG;
	return !fstatat(dirfd(dir), found->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode);
}

static int compare(const void *a, const void *b)
{
	const struct trace_entry *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->start_time != y->start_time)
		return x->start_time < y->start_time ? -1 : 1;
	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	if (x->image != y->image)
		return x->image < y->image ? -1 : 1;
	return strcmp(x->path, y->path);
}

static int list_add(struct trace_list *list, const char *directory, bool making)
{
	DIR *dir = opendir(directory);
	size_t before = list->count;
	struct dirent *found;
	int error = 0;

	if (!dir)
		return -1;
	while (!error && (errno = 0, found = readdir(dir))) {
		struct trace_entry entry = {0};
		const char *reason;

		if (parse_name(found->d_name, &entry, &reason) && (making || !entry.making) &&
		    is_file(dir, found) &&
		    append(list, directory, found->d_name, entry, reason) < 0)
			error = ENOMEM;
	}
	if (!error)
		error = errno;
	closedir(dir);
	if (list->count > before)
		qsort(list->entries, list->count, sizeof(*list->entries), compare);
	errno = error;
	return error ? -1 : 0;
}

int trace_list_add(struct trace_list *list, const char *directory)
{
	return list_add(list, directory, false);
}

int trace_list_add_all(struct trace_list *list, const char *directory)
{
	return list_add(list, directory, true);
}

bool trace_entry_alive(const struct trace_entry *entry)
{
	const struct host_process process = {.pid = entry->pid, .start_time = entry->start_time};

	return host_find(&process);
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

uint64_t trace_directory_bytes(const char *directory, unsigned *count)
{
	struct trace_list list = {0};
	uint64_t bytes = 0;
	struct stat st;

	*count = 0;
	trace_list_add_all(&list, directory);
	for (unsigned i = 0; i < list.count; i++) {
		if (list.entries[i].failed || lstat(list.entries[i].path, &st))
			continue;
		bytes += (uint64_t)st.st_blocks * 512;
		++*count;
	}
	trace_list_free(&list);
	return bytes;
}
