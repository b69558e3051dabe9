/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/host.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "now.h"

/* Other namespaces are searched at most this often for a process that was not found. */
#define LOOK_AGAIN_NS 100000000u

/* The kernel's inode numbers of the initial namespaces. */
#define FIRST_TIME_NAMESPACE 0xeffffffau
#define FIRST_PID_NAMESPACE 0xeffffffcu

/* ---- this program's own namespaces ------------------------------------------- */

/* 0, not known, counts as ours. */
static uint64_t namespace_of(pid_t pid, const char *kind)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	return stat(path, &st) ? 0 : st.st_ino;
}

static int read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[got > 0 ? got : 0] = '\0';
	return got > 0 ? 0 : -1;
}

struct own {
	bool known;
	uint64_t pid_namespace;
	int64_t monotonic_offset_ns, boottime_offset_ns;
};

static int64_t offset_in(const char *text, const char *clock)
{
	const char *at = strstr(text, clock);
	int64_t seconds = 0, ns = 0;

	if (at && sscanf(at + strlen(clock), "%" SCNd64 " %" SCNd64, &seconds, &ns) == 2)
		return seconds * 1000000000 + ns;
	return 0;
}

static const struct own *own(void)
{
	static struct own own;
	uint64_t time;
	char text[256];

	if (own.known)
		return &own;
	own.known = true;
	own.pid_namespace = namespace_of(getpid(), "pid");
	time = namespace_of(getpid(), "time");
	if (time && time != FIRST_TIME_NAMESPACE &&
	    !read_text("/proc/self/timens_offsets", text, sizeof(text))) {
		own.monotonic_offset_ns = offset_in(text, "monotonic");
		own.boottime_offset_ns = offset_in(text, "boottime");
	}
	return &own;
}

int64_t host_monotonic_offset_ns(void)
{
	return own()->monotonic_offset_ns;
}

uint64_t host_pid_namespace(void)
{
	return own()->pid_namespace;
}

bool host_sees(uint64_t pid_namespace)
{
	return !pid_namespace || pid_namespace == own()->pid_namespace ||
	       own()->pid_namespace == FIRST_PID_NAMESPACE;
}

/* ---- one process ---------------------------------------------------------------- */

/*
 * Under an emulator (qemu-user), a process sees itself start when the emulator was ready, a little
 * later than the kernel says. No process id is reused within so short a time.
 */
#define SAME_START 200u /* clock ticks, 2 s */

/* The process's start as this time namespace shows it. */
static uint64_t start_here(const struct host_process *process)
{
	int64_t hertz = sysconf(_SC_CLK_TCK);
	/* unsigned: a broken trace may have any offset */
	int64_t offset_ns = (int64_t)((uint64_t)own()->boottime_offset_ns -
				      (uint64_t)process->boottime_offset_ns);

	return process->start_time +
	       (uint64_t)(offset_ns / (1000000000 / (hertz > 0 ? hertz : 100)));
}

static bool same_start(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) <= SAME_START;
}

struct stat_fields {
	char state;
	long threads;
	uint64_t start;
};

static bool read_stat(pid_t here, struct stat_fields *out)
{
	char path[64], text[1024];
	const char *fields;

	snprintf(path, sizeof(path), "/proc/%d/stat", here);
	if (here <= 0 || read_text(path, text, sizeof(text)))
		return false;
	/* fields 3, 20 and 22 of proc(5), after the command's name, which may contain anything */
	fields = strrchr(text, ')');
	return fields && sscanf(fields + 1,
				" %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
				"%*d %ld %*d %" SCNu64,
				&out->state, &out->threads, &out->start) == 3;
}

uint64_t host_start(pid_t here)
{
	struct stat_fields stat;

	return read_stat(here, &stat) ? stat.start : 0;
}

bool host_started(const struct host_process *process, uint64_t start)
{
	return !process->start_time || same_start(start, start_here(process));
}

bool host_alive(pid_t here, const struct host_process *process)
{
	struct stat_fields stat;

	if (!read_stat(here, &stat) || !host_started(process, stat.start))
		return false;
	/* a main thread that has ended is a zombie, too, while others go on */
	return (stat.state != 'Z' && stat.state != 'X') || stat.threads > 1;
}

/* ---- all of them ---------------------------------------------------------------------- */

static struct {
	pid_t *ids;
	size_t count, room;
	bool valid;
} census;

static int by_id(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? -1 : x > y;
}

static int add_id(pid_t id)
{
	size_t room = census.room ? census.room * 2 : 1024;
	pid_t *ids;

	if (census.count == census.room) {
		ids = realloc(census.ids, room * sizeof(*ids));
		if (!ids)
			return -1;
		census.ids = ids;
		census.room = room;
	}
	census.ids[census.count++] = id;
	return 0;
}

void host_count(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	census.count = 0;
	census.valid = proc;
	while (proc && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]) && add_id((pid_t)atoi(entry->d_name)))
			census.valid = false;
	if (proc)
		closedir(proc);
	if (census.count)
		qsort(census.ids, census.count, sizeof(*census.ids), by_id);
}

void host_forget(void)
{
	census.valid = false;
}

static bool has_ended(pid_t id)
{
	return census.valid && !bsearch(&id, census.ids, census.count, sizeof(*census.ids), by_id);
}

/* ---- other namespaces --------------------------------------------------------------- */

/* A task's innermost id; 0: it has only the id that is known here. */
static pid_t inner_id(const char *status)
{
	char text[4096];
	const char *ids;
	int id = 0, count = 0, used;

	if (read_text(status, text, sizeof(text)) || !(ids = strstr(text, "\nNSpid:")))
		return 0;
	for (ids += strlen("\nNSpid:"); sscanf(ids, "%*[ \t]%d%n", &id, &used) == 1; ids += used)
		count++;
	return count > 1 ? id : 0;
}

/* Shared by threads, although they do not share traces. */
static struct {
	struct elsewhere {
		pid_t here, there;
	} * list;
	size_t count, room;
	uint64_t read_ns;
	pthread_mutex_t lock;
} others = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void add_other(pid_t here, pid_t there)
{
	if (others.count == others.room) {
		size_t room = others.room ? others.room * 2 : 64;
		struct elsewhere *list = realloc(others.list, room * sizeof(*list));

		if (!list)
			return;
		others.list = list;
		others.room = room;
	}
	others.list[others.count++] = (struct elsewhere){here, there};
}

static void read_others(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	others.count = 0;
	while (proc && (entry = readdir(proc))) {
		char path[300];
		pid_t there;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/status", entry->d_name);
		there = inner_id(path);
		if (there)
			add_other((pid_t)atoi(entry->d_name), there);
	}
	if (proc)
		closedir(proc);
}

static pid_t find_other(const struct host_process *process)
{
	for (size_t i = 0; i < others.count; i++) {
		const struct elsewhere *other = &others.list[i];
		uint64_t namespace;

		if (other->there != process->pid || !host_alive(other->here, process))
			continue;
		/* if we may not see the namespace, id and start time must do */
		namespace = namespace_of(other->here, "pid");
		if (!namespace || namespace == process->pid_namespace)
			return other->here;
	}
	return 0;
}

/* Under the lock. */
static pid_t find_elsewhere(const struct host_process *process)
{
	pid_t here = others.read_ns ? find_other(process) : 0;

	if (here || (others.read_ns && now_ns(CLOCK_MONOTONIC) - others.read_ns < LOOK_AGAIN_NS))
		return here;
	read_others();
	others.read_ns = now_ns(CLOCK_MONOTONIC);
	return find_other(process);
}

pid_t host_find(const struct host_process *process)
{
	pid_t here;

	if (!process->pid_namespace || process->pid_namespace == own()->pid_namespace)
		return !has_ended(process->pid) && host_alive(process->pid, process) ? process->pid
										     : 0;
	pthread_mutex_lock(&others.lock);
	here = find_elsewhere(process);
	pthread_mutex_unlock(&others.lock);
	return here;
}

pid_t host_own_id(pid_t here)
{
	char path[64];
	pid_t inner;

	snprintf(path, sizeof(path), "/proc/%d/status", here);
	inner = inner_id(path);
	return inner ? inner : here;
}

pid_t host_thread(pid_t here, pid_t tid)
{
	char path[300];
	struct dirent *entry;
	pid_t inner, found = 0;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/status", here);
	inner = inner_id(path);
	if (!inner || inner == tid)
		return inner ? here : tid;
	snprintf(path, sizeof(path), "/proc/%d/task", here);
	tasks = opendir(path);
	while (tasks && !found && (entry = readdir(tasks))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", here, entry->d_name);
		if (inner_id(path) == tid)
			found = (pid_t)atoi(entry->d_name);
	}
	if (tasks)
		closedir(tasks);
	return found;
}
