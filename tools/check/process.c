/* SPDX-License-Identifier: Apache-2.0 */
/* A running process: what /proc shows of its maps, environment, privileges and root. */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/findings.h"
#include "check/inquiry.h"
#include "tlstall/environment.h"
#include "trace/directory.h"
#include "trace/host.h"

#define SHIM_NAME "libtlstall.so"
#define FILE_MAX (16u << 20) /* bytes of one file in /proc */
#define ANCESTORS 16

#define SHARED_MAPPINGS 64

struct process {
	struct inquiry *inquiry;
	pid_t pid;
	bool shim, secure;
	char *environment; /* NULL: not readable */
	size_t environment_size;
	uint64_t shared[SHARED_MAPPINGS]; /* inodes of shared mappings */
	unsigned shared_count;
};

/* All of /proc/PID/NAME, terminated, to be freed; NULL with errno set on failure. */
static char *read_proc(struct check_result *result, pid_t pid, const char *name, size_t *size)
{
	size_t room = 16384, used = 0;
	char path[64], *text = NULL, *grown;
	ssize_t got = 1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	while (got > 0 && used < FILE_MAX) {
		if (!text || used + 1 == room) {
			grown = realloc(text, room *= 2);
			if (!grown) {
				result->starved = true;
				got = -1;
				break;
			}
			text = grown;
		}
		got = read(fd, text + used, room - used - 1);
		used += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	if (got < 0 || !text) {
		free(text);
		return NULL;
	}
	text[used] = 0;
	*size = used;
	return text;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), n = strlen(end);

	return length >= n && !strcmp(text + length - n, end);
}

/* What the kernel adds to the path of a file that was replaced or removed. */
#define DELETED " (deleted)"

static bool cut_deleted(char *path)
{
	bool deleted = ends_with(path, DELETED);

	if (deleted)
		path[strlen(path) - strlen(DELETED)] = 0;
	return deleted;
}

/* The path on one line of maps, "" if there is none. Cuts the line there. */
static const char *mapped_path(char *line)
{
	int at = 0;

	line[strcspn(line, "\n")] = 0;
	sscanf(line, "%*s %*s %*s %*s %*s %n", &at);
	cut_deleted(line + at);
	return line + at;
}

static void note_mapping(struct process *process, const char *path)
{
	struct check_result *result = process->inquiry->result;
	const char *name = base_name(path);

	if (!*path)
		return;
	if (!strcmp(path, process->inquiry->shim) || !strcmp(name, SHIM_NAME))
		process->shim = true;
	/* packages that bring their own add a hash to its name: libssl-81ffa89e.so.1.1 */
	else if ((!strncmp(name, "libssl.so", 9) || !strncmp(name, "libssl-", 7)) && !result->libssl)
		result->libssl = keep_text(result, path);
}

/*
 * A trace file gets its name only when complete, and maps keep showing none: it is known by inode.
 */
static void note_shared(struct process *process, const char *line)
{
	unsigned long long inode;
	char shared;

	if (process->shared_count < SHARED_MAPPINGS &&
	    sscanf(line, "%*s %*3c%c %*s %*s %llu", &shared, &inode) == 2 && shared == 's')
		process->shared[process->shared_count++] = inode;
}

static int read_maps(struct process *process)
{
	size_t size;
	char *maps = read_proc(process->inquiry->result, process->pid, "maps", &size), *next;

	if (!maps)
		return -errno;
	for (char *line = maps; line && *line; line = next) {
		next = strchr(line, '\n');
		next = next ? next + 1 : NULL;
		note_shared(process, line);
		note_mapping(process, mapped_path(line));
	}
	free(maps);
	return 0;
}

/* Whether the process has mapped the shim. */
static bool has_shim(struct check_result *result, pid_t pid)
{
	size_t size;
	char *maps = read_proc(result, pid, "maps", &size);
	bool found = maps && (strstr(maps, "/" SHIM_NAME "\n") || strstr(maps, "/" SHIM_NAME DELETED "\n"));

	free(maps);
	return found;
}

static bool read_secure(const struct process *process, int class)
{
	size_t size, width = class == ELFCLASS32 ? 4 : 8;
	char *bytes = read_proc(process->inquiry->result, process->pid, "auxv", &size);
	uint64_t pair[2] = {0};
	bool secure = false;

	for (size_t at = 0; bytes && at + 2 * width <= size; at += 2 * width) {
		uint32_t narrow[2];

		memcpy(narrow, bytes + at, sizeof(narrow));
		pair[0] = narrow[0];
		pair[1] = narrow[1];
		if (width == 8)
			memcpy(pair, bytes + at, sizeof(pair));
		if (pair[0] == AT_SECURE)
			secure = pair[1];
	}
	free(bytes);
	return secure;
}

static const char *variable(const struct process *process, const char *name)
{
	size_t length = strlen(name);

	for (size_t at = 0; process->environment && at < process->environment_size;
	     at += strlen(process->environment + at) + 1) {
		const char *entry = process->environment + at;

		if (!strncmp(entry, name, length) && entry[length] == '=')
			return entry + length + 1;
	}
	return NULL;
}

/* A number from a line of /proc/PID/status. */
static long status_field(struct check_result *result, pid_t pid, const char *format)
{
	size_t size;
	char *status = read_proc(result, pid, "status", &size);
	long value = -1;

	for (char *line = status; line && *line;) {
		if (sscanf(line, format, &value) == 1)
			break;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	free(status);
	return value;
}

/* Opens its root if that is not ours, as with a chroot or a container. */
static void open_root(struct process *process)
{
	struct root *root = &process->inquiry->closure.root;
	struct stat theirs, ours;

	snprintf(root->path, sizeof(root->path), "/proc/%d/root", process->pid);
	root->fd = open(root->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root->fd >= 0 && fstat(root->fd, &theirs) == 0 && stat("/", &ours) == 0 &&
	    (theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino))
		return;
	if (root->fd >= 0)
		close(root->fd);
	*root = ROOT_OURS;
}

static bool may_read(const struct stat *status, long uid, long gid)
{
	mode_t bits = status->st_mode;

	if (uid == 0)
		return true;
	if (status->st_uid == (uid_t)uid)
		return bits & S_IRUSR;
	return bits & (status->st_gid == (gid_t)gid ? S_IRGRP : S_IROTH);
}

static long field(const struct process *process, const char *format)
{
	return status_field(process->inquiry->result, process->pid, format);
}

/* Whether the process could have mapped the shim from where it is. */
static bool shim_is_readable(const struct process *process)
{
	const struct inquiry *inquiry = process->inquiry;
	int fd = root_open(&inquiry->closure.root, inquiry->shim);
	struct stat status;
	bool readable;

	if (fd < 0)
		return false;
	readable = fstat(fd, &status) == 0 &&
		   may_read(&status, field(process, "Uid: %*d %ld"),
			    field(process, "Gid: %*d %ld"));
	close(fd);
	return readable;
}

/* The nearest ancestor that has the shim; 0: none. */
static pid_t traced_ancestor(struct check_result *result, pid_t pid)
{
	for (int i = 0; i < ANCESTORS; i++) {
		pid = (pid_t)status_field(result, pid, "PPid: %ld");
		if (pid <= 0)
			break;
		if (has_shim(result, pid))
			return pid;
	}
	return 0;
}

/* LD_PRELOAD is set but had no effect: says since when, or because of whom. */
static void explain_environment(const struct process *process)
{
	struct check_result *result = process->inquiry->result;
	const char *preload = variable(process, "LD_PRELOAD");
	bool asked = preload && strstr(preload, SHIM_NAME);
	pid_t ancestor = asked ? 0 : traced_ancestor(result, process->pid);

	if (asked)
		add_reason(result, CHECK_REASON_NOT_PRELOADED, result->program,
			   "LD_PRELOAD names the shim, but the loader did not load it");
	else if (ancestor)
		add_reason(result, CHECK_REASON_STRIPPED, NULL,
			   "its ancestor %d has the shim, but LD_PRELOAD was removed from its "
			   "environment",
			   ancestor);
	else
		add_reason(result, CHECK_REASON_NOT_PRELOADED, NULL,
			   "was started without the shim: tlstall look shows its handshakes, and "
			   "tlstall attach loads the shim; or start it with tlstall run, or with "
			   "the environment that tlstall env prints");
}

static void explain_absence(const struct process *process)
{
	struct inquiry *inquiry = process->inquiry;
	struct check_result *result = inquiry->result;
	bool explained = inquiry->blocked;

	if (process->secure) {
		explained = true;
		add_reason(result, CHECK_REASON_SECURE, result->program,
			   "runs with AT_SECURE (setuid, setgid or file capabilities): "
			   "the loader ignored LD_PRELOAD");
	}
	if (*inquiry->shim && !shim_is_readable(process)) {
		explained = true;
		add_reason(result, CHECK_REASON_SHIM_UNREADABLE, inquiry->shim,
			   "the shim %s is not readable from %s", inquiry->shim,
			   inquiry->closure.root.fd < 0 ? "that process" : "its root directory");
	}
	if (!explained)
		explain_environment(process);
}

static int open_executable(struct process *process)
{
	struct check_result *result = process->inquiry->result;
	char link[64], target[PATH_MAX];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/%d/exe", process->pid);
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = 0;
	if (cut_deleted(target))
		add_note(result, target,
			 "its program file was replaced or removed after it started");
	result->program = keep_text(result, target);
	if (!result->program)
		return -ENOMEM;
	process->inquiry->fd = open(link, O_RDONLY | O_CLOEXEC);
	return process->inquiry->fd < 0 ? -errno : 0;
}

static int not_accessible(struct check_result *result, int error)
{
	if (error == -ENOMEM)
		return error;
	if (error == -EACCES || error == -EPERM)
		return set_error(
			result, error,
			"no permission to inspect process %d (run this as its user or as root)",
			result->pid);
	return set_error(result, -ESRCH, "process %d has ended", result->pid);
}

/*
 * Where the process would put its trace, as seen from here: below its root, and then below ours,
 * because it may have changed its root since.
 */
#define PLACES 3
static bool place_of(const struct process *process, unsigned number, char path[PATH_MAX])
{
	unsigned place = number % PLACES;
	const char *directory = variable(process, place ? "XDG_RUNTIME_DIR" : "TLSTALL_DIR");
	bool has_our_root = process->inquiry->closure.root.fd < 0;
	char fallback[64];

	if (has_our_root && number >= PLACES)
		return false;
	if (place == 2) {
		snprintf(fallback, sizeof(fallback), "/tmp/tlstall-%ld",
			 field(process, "Uid: %*d %ld"));
		directory = fallback;
	}
	if (!directory || directory[0] != '/')
		return false;
	snprintf(path, PATH_MAX, "%s%s%s",
		 has_our_root || number >= PLACES ? "" : process->inquiry->closure.root.path,
		 directory, place == 1 ? "/tlstall" : "");
	return true;
}

static bool is_mapped(const struct process *process, const char *path)
{
	struct stat status;

	if (stat(path, &status))
		return false;
	for (unsigned i = 0; i < process->shared_count; i++)
		if (process->shared[i] == status.st_ino)
			return true;
	return false;
}

static void find_trace_in(const struct process *process, const char *directory)
{
	struct check_result *result = process->inquiry->result;
	struct trace_list list = {0};

	if (result->trace)
		return;
	result->starved |= trace_list_add(&list, directory) && errno == ENOMEM;
	for (unsigned i = 0; i < list.count && !result->trace; i++)
		if (!list.entries[i].failed && is_mapped(process, list.entries[i].path))
			result->trace = keep_text(result, list.entries[i].path);
	trace_list_free(&list);
}

/* Some programs overwrite their environment: then looks where this user's traces are. */
static void find_trace(const struct process *process)
{
	char path[PATH_MAX], **places = trace_search_path();

	process->inquiry->result->starved |= !places;
	for (unsigned place = 0; place < 2 * PLACES; place++)
		if (place_of(process, place, path))
			find_trace_in(process, path);
	for (char **place = places; place && *place; place++)
		find_trace_in(process, *place);
	trace_search_path_free(places);
}

/* Explains the missing trace by the note that the process left. */
static bool explain_note(const struct process *process)
{
	char path[PATH_MAX], reason[32];
	uint64_t start = host_start(process->pid);
	int found;

	for (unsigned place = 0; place < 2 * PLACES; place++) {
		if (!place_of(process, place, path))
			continue;
		found = trace_note_of(path, host_own_id(process->pid), start, reason, sizeof(reason));
		process->inquiry->result->starved |= found < 0;
		if (found <= 0)
			continue;
		add_reason(process->inquiry->result, CHECK_REASON_UNTRACED, NULL,
			   "has the shim but runs untraced: %s (%s)", trace_note_words(reason),
			   reason);
		return true;
	}
	return false;
}

static bool explain_mode(const struct process *process)
{
	const char *mode = variable(process, "TLSTALL_MODE");

	if (!mode || strcmp(mode, "off"))
		return false;
	add_reason(process->inquiry->result, CHECK_REASON_UNTRACED, NULL,
		   "has the shim but runs untraced: it was started with TLSTALL_MODE=off");
	return true;
}

static void conclude(struct process *process)
{
	struct check_result *result = process->inquiry->result;

	if (!process->shim) {
		explain_absence(process);
		result->seen = result->calls = false;
		return;
	}
	note_filter(result, field(process, "Seccomp: %ld"),
		    variable(process, "TLSTALL_SOCKET"));
	note_preloads(result, &process->inquiry->closure.root, variable(process, "LD_PRELOAD"));
	find_trace(process);
	if (!result->trace && (explain_mode(process) || explain_note(process))) {
		result->seen = false;
		return;
	}
	/* a process with a trace is traced, whatever its files look like */
	result->seen = result->trace || result->ways.count;
	if (result->trace)
		add_way(result, CHECK_WAY_TRACED, result->trace,
			"has the shim and is being traced");
	else if (result->seen)
		add_way(result, CHECK_WAY_TRACED, NULL,
			"has the shim; no handshake yet, so no trace file");
	else
		add_note(result, NULL, "has the shim");
}

static int look_at(struct process *process)
{
	struct inquiry *inquiry = process->inquiry;
	struct check_result *result = inquiry->result;
	char why[256];
	int ret;

	if (!host_runs_program(process->pid, why, sizeof(why)))
		return set_error(result, -ESRCH, "%s", why);
	ret = open_executable(process);
	if (ret == 0 && host_is_loading(process->pid))
		return set_error(result, -EAGAIN,
				 "process %d has not loaded its libraries yet (tlstall check %s says whether "
				 "it can be traced then)",
				 process->pid, result->program);
	if (ret == 0)
		ret = read_maps(process);
	if (ret < 0)
		return not_accessible(result, ret);
	open_root(process);
	process->environment =
		read_proc(result, process->pid, "environ", &process->environment_size);
	inquiry->closure.library_path = variable(process, "LD_LIBRARY_PATH");
	if (result->libssl && is_openssl_file(inquiry, result->libssl))
		add_way(result, CHECK_WAY_LOADED, result->libssl, "has %s loaded",
			base_name(result->libssl));
	ret = examine(inquiry);
	if (ret < 0)
		return ret;
	process->secure = read_secure(process, inquiry->closure.list[0].object.class);
	conclude(process);
	return 0;
}

int check_pid(pid_t pid, const struct check_options *options, struct check_result *result)
{
	struct inquiry inquiry;
	struct process process = {.inquiry = &inquiry, .pid = pid};
	char target[16];
	int ret;

	snprintf(target, sizeof(target), "%d", pid);
	ret = inquiry_begin(&inquiry, options, result, target);
	inquiry.running = true;
	result->pid = pid;
	if (ret == 0)
		ret = pid > 0 ? look_at(&process) : set_error(result, -ESRCH, "no such process");
	free(process.environment);
	if (inquiry.closure.root.fd >= 0)
		close(inquiry.closure.root.fd);
	return inquiry_end(&inquiry, ret);
}
