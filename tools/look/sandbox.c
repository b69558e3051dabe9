/* SPDX-License-Identifier: Apache-2.0 */
/* Our end of the channel to the child. */
#include "look/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "look/child.h"
#include "look/memory.h"
#include "look/stub.h"
#include "now.h"

#define CALL_MS 500	 /* for one function */
#define ALL_MS 10000	 /* for all functions */
#define PAGES 16384	 /* given to one child */
#define LOST 4		 /* children that may be lost */
#define PAGE_MOST 0x10000

struct sandbox {
	pid_t pid;
	int memory;
	const struct regions *regions;
	pid_t child; /* 0: none now */
	int channel;
	unsigned lost, pages;
	uint64_t deadline_ms;
};

static uint64_t now_ms(void)
{
	return now_ns(CLOCK_MONOTONIC) / 1000000;
}

struct sandbox *sandbox_open(pid_t pid, int memory, const struct regions *regions)
{
	struct sandbox *sandbox = calloc(1, sizeof(*sandbox));

	if (!sandbox)
		return NULL;
	*sandbox = (struct sandbox){
		.pid = pid,
		.memory = memory,
		.regions = regions,
		.deadline_ms = now_ms() + ALL_MS,
	};
	return sandbox;
}

static void end_child(struct sandbox *sandbox)
{
	if (!sandbox->child)
		return;
	kill(sandbox->child, SIGKILL);
	while (waitpid(sandbox->child, NULL, 0) < 0 && errno == EINTR)
		;
	close(sandbox->channel);
	sandbox->child = 0;
}

void sandbox_renew(struct sandbox *sandbox)
{
	end_child(sandbox);
}

void sandbox_close(struct sandbox *sandbox)
{
	if (!sandbox)
		return;
	end_child(sandbox);
	free(sandbox);
}

/* ---- words ---------------------------------------------------------------------------- */

/* False on timeout (ETIMEDOUT) or if the child is gone (EPIPE). */
static bool receive(struct sandbox *sandbox, uint64_t until, struct stub_word *word)
{
	struct pollfd channel = {.fd = sandbox->channel, .events = POLLIN};

	for (;;) {
		uint64_t now = now_ms();
		int ready = poll(&channel, 1, now < until ? (int)(until - now) : 0);

		if (ready < 0 && errno == EINTR)
			continue;
		errno = ETIMEDOUT;
		if (ready <= 0)
			return false;
		if (recv(sandbox->channel, word, sizeof(*word), MSG_DONTWAIT) == sizeof(*word))
			return true;
		errno = EPIPE;
		return false;
	}
}

/* Never waits: a child that does not read is lost. */
static bool transmit(struct sandbox *sandbox, const void *bytes, size_t size)
{
	return send(sandbox->channel, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
}

static bool serve_page(struct sandbox *sandbox, uint64_t address)
{
	static char bytes[PAGE_MOST];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (page > sizeof(bytes) || ++sandbox->pages > PAGES)
		return false;
	address &= ~(uint64_t)(page - 1);
	if (!memory_read(sandbox->memory, address, bytes, page))
		return transmit(sandbox, "", 1);
	return transmit(sandbox, bytes, page);
}

/* ---- calls ---------------------------------------------------------------------------- */

static enum sandbox_result await(struct sandbox *sandbox, uint64_t until, uint64_t *value)
{
	struct stub_word word;

	while (receive(sandbox, until, &word)) {
		*value = word.value;
		switch (word.kind) {
		case STUB_PAGE:
			if (!serve_page(sandbox, word.value))
				return SANDBOX_LATE;
			break;
		case STUB_READY:
		case STUB_RETURNED:
			return SANDBOX_RETURNED;
		case STUB_FAULT:
			return SANDBOX_FAULT;
		case STUB_SYSCALL:
			return SANDBOX_SYSCALL;
		default:
			return SANDBOX_DIED;
		}
	}
	return errno == ETIMEDOUT ? SANDBOX_LATE : SANDBOX_DIED;
}

static uint64_t end_of_call(const struct sandbox *sandbox)
{
	uint64_t until = now_ms() + CALL_MS;

	return until < sandbox->deadline_ms ? until : sandbox->deadline_ms;
}

static bool start_child(struct sandbox *sandbox)
{
	uint64_t none;

	if (sandbox->lost > LOST || now_ms() >= sandbox->deadline_ms) {
		errno = ETIMEDOUT;
		return false;
	}
	sandbox->child = stub_start(sandbox->pid, sandbox->regions, &sandbox->channel);
	sandbox->pages = 0;
	if (sandbox->child < 0) {
		sandbox->child = 0;
		return false;
	}
	if (await(sandbox, sandbox->deadline_ms, &none) == SANDBOX_RETURNED)
		return true;
	end_child(sandbox);
	errno = EPERM;
	return false;
}

enum sandbox_result sandbox_call(struct sandbox *sandbox, uint64_t function, uint64_t first,
				 uint64_t second, uint64_t *value)
{
	const struct stub_call call = {function, {first, second}};
	enum sandbox_result result = SANDBOX_DIED;

	*value = 0;
	if (!sandbox->child && !start_child(sandbox))
		return SANDBOX_REFUSED;
	if (transmit(sandbox, &call, sizeof(call)))
		result = await(sandbox, end_of_call(sandbox), value);
	if (result == SANDBOX_LATE || result == SANDBOX_DIED) {
		end_child(sandbox);
		sandbox->lost++;
	}
	return result;
}
