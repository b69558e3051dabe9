/* SPDX-License-Identifier: Apache-2.0 */
#include "look/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int memory_open(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool memory_read(int memory, uint64_t address, void *buffer, size_t size)
{
	char *at = buffer;

	if (address > INT64_MAX - size)
		return false;
	while (size) {
		ssize_t got = pread(memory, at, size, (off_t)address);

		if (got <= 0)
			return false;
		at += got;
		address += (uint64_t)got;
		size -= (size_t)got;
	}
	return true;
}

/* Reads strings in pieces this long: the readable memory may end soon after the start of one. */
#define PIECE 32

bool memory_text(int memory, uint64_t address, char *buffer, size_t size)
{
	size_t length = 0;

	buffer[0] = '\0';
	while (address && length + 1 < size) {
		size_t piece = PIECE - (address + length) % PIECE;

		if (piece > size - 1 - length)
			piece = size - 1 - length;
		if (!memory_read(memory, address + length, buffer + length, piece)) {
			buffer[length] = '\0';
			return false;
		}
		if (memchr(buffer + length, '\0', piece))
			return true;
		length += piece;
	}
	buffer[length] = '\0';
	return address != 0;
}
