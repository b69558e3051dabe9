/* SPDX-License-Identifier: Apache-2.0 */
#include "self.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "system.h"

ssize_t self_read_small(const char *path, char *buffer, size_t size)
{
	int fd = system_open(path, O_RDONLY | O_CLOEXEC, 0);
	ssize_t got = fd < 0 ? -1 : system_read(fd, buffer, size - 1);

	if (fd >= 0)
		system_close(fd);
	buffer[got > 0 ? got : 0] = '\0';
	return got;
}

/* qemu-user's substitute for /proc/self/stat has a new start time after each exec. */
static ssize_t read_stat(char *text, size_t size)
{
	char path[64];
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", system_getpid());
	got = self_read_small(path, text, size);
	return got > 0 ? got : self_read_small("/proc/self/stat", text, size);
}

/* Without /proc: the thread's own name, usually the same. */
static void read_comm(const char *from, const char *to, char comm[16])
{
	size_t length = from && to ? (size_t)(to - from - 1) : 0;

	memset(comm, 0, 16);
	if (length)
		memcpy(comm, from + 1, length < 15 ? length : 15);
	else
		system_call(SYS_prctl, PR_GET_NAME, comm, 0, 0, 0);
}

/* "4711 (name) S ...": field 22 is the start time; the name may contain anything. */
uint64_t self_start_time(char comm[16])
{
	char text[512];
	const char *at;

	if (read_stat(text, sizeof(text)) <= 0)
		text[0] = '\0';
	at = strrchr(text, ')');
	read_comm(strchr(text, '('), at, comm);
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

ssize_t self_read_link(const char *name, char *buffer, size_t size)
{
	char path[40];
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	got = system_readlink(path, buffer, size);
	if (got >= 0)
		return got;
	snprintf(path, sizeof(path), "/proc/thread-self/%s", name);
	return system_readlink(path, buffer, size);
}

/* A link that reads "pid:[4026531836]". */
static uint64_t namespace(const char *name)
{
	char text[64];
	ssize_t got = self_read_link(name, text, sizeof(text) - 1);
	const char *at;

	text[got > 0 ? got : 0] = '\0';
	at = strchr(text, '[');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

uint64_t self_pid_namespace(void)
{
	return namespace("ns/pid");
}

/* The inode number of the host's time namespace, which has no offsets. */
#define HOST_TIME_NAMESPACE 0xeffffffau

static int64_t offset_in(const char *text, const char *clock)
{
	const char *at = strstr(text, clock);
	char *end;
	int64_t seconds;

	if (!at)
		return 0;
	seconds = strtoll(at + strlen(clock), &end, 10);
	return seconds * 1000000000 + strtoll(end, NULL, 10);
}

static void read_offsets(struct self *self)
{
	char text[256];

	if (!self->time_namespace || self->time_namespace == HOST_TIME_NAMESPACE ||
	    self_read_small("/proc/self/timens_offsets", text, sizeof(text)) <= 0)
		return;
	self->monotonic_offset_ns = offset_in(text, "monotonic");
	self->boottime_offset_ns = offset_in(text, "boottime");
}

void self_read(struct self *self)
{
	*self = (struct self){.pid = (uint32_t)system_getpid()};
	self->start_time = self_start_time(self->comm);
	self->pid_namespace = self_pid_namespace();
	self->time_namespace = namespace("ns/time");
	read_offsets(self);
	self_read_small("/proc/sys/kernel/random/boot_id", self->boot_id, sizeof(self->boot_id));
	self->boot_id[strcspn(self->boot_id, "\n")] = '\0';
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

static uint64_t random_word(void)
{
	uint64_t word;

	if (system_call(SYS_getrandom, &word, sizeof(word), 1 /* GRND_NONBLOCK */) != sizeof(word))
		word = 0;
	return word;
}

/* Without /proc nothing identifies this process, so the tag is random. */
uint64_t self_tag(const struct self *self, bool another)
{
	uint64_t hash = 0, word;

	for (size_t i = 0; i + 8 <= sizeof(self->boot_id); i += 8) {
		memcpy(&word, self->boot_id + i, 8);
		hash = mix(hash, word);
	}
	hash = mix(mix(hash, self->pid_namespace), self->time_namespace);
	hash = mix(mix(hash, self->pid), self->start_time);
	if (another || !self->start_time || !self->pid_namespace)
		hash = mix(mix(hash, random_word()), clock_ticks());
	return hash ? hash : 1;
}
