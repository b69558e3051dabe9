/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/dump.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "now.h"

/* Networks times address families. */
#define DUMPS 16
/* An older dump is repeated: it must match what is seen of the process now, its threads. */
#define FRESH_NS 50000000ull

struct dump {
	dev_t device; /* of the network namespace */
	ino_t inode;
	uint8_t family; /* 0: not in use */
	uint64_t at_ns;
	struct diag_answer *list; /* sorted by inode */
	size_t count, room;
};

static struct dump dumps[DUMPS];
static bool kept;
static uint64_t needed_ns;

static void add(const struct diag_answer *answer, void *context)
{
	struct dump *dump = context;
	size_t room = dump->room ? dump->room * 2 : 256;
	struct diag_answer *list;

	/* a socket that nobody has open */
	if (!answer->inode)
		return;
	if (dump->count == dump->room) {
		list = reallocarray(dump->list, room, sizeof(*list));
		if (!list)
			return;
		dump->list = list;
		dump->room = room;
	}
	dump->list[dump->count++] = *answer;
}

static int by_inode(const void *a, const void *b)
{
	uint64_t one = ((const struct diag_answer *)a)->inode;
	uint64_t other = ((const struct diag_answer *)b)->inode;

	return one < other ? -1 : one > other;
}

static int fill(struct dump *dump, pid_t pid)
{
	const struct diag_query query = {.family = dump->family, .protocol = IPPROTO_TCP};
	int netlink = diag_open(pid), result;

	if (netlink < 0)
		return -1;
	dump->at_ns = now_ns(CLOCK_MONOTONIC);
	dump->count = 0;
	result = diag_ask(netlink, &query, add, dump);
	close(netlink);
	if (dump->count)
		qsort(dump->list, dump->count, sizeof(*dump->list), by_inode);
	return result;
}

/* Finds that network's dump, or an unused one, or the oldest. */
static struct dump *place_for(const struct dump *wanted)
{
	struct dump *place = &dumps[0];

	for (unsigned i = 0; i < DUMPS; i++) {
		struct dump *dump = &dumps[i];

		if (dump->family == wanted->family && dump->inode == wanted->inode &&
		    dump->device == wanted->device)
			return dump;
		if (dump->at_ns < place->at_ns)
			place = dump;
	}
	free(place->list);
	*place = *wanted;
	return place;
}

const struct dump *dump_of(pid_t pid, uint8_t family)
{
	struct dump *dump;
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	if (!kept || stat(path, &st))
		return NULL;
	dump = place_for(&(struct dump){.device = st.st_dev, .inode = st.st_ino, .family = family});
	if (dump->at_ns && dump->at_ns >= needed_ns &&
	    now_ns(CLOCK_MONOTONIC) - dump->at_ns < FRESH_NS)
		return dump;
	if (!fill(dump, pid))
		return dump;
	dump->at_ns = 0;
	return NULL;
}

const struct diag_answer *dump_find(const struct dump *dump, uint64_t inode)
{
	const struct diag_answer wanted = {.inode = inode};

	return dump->count ? bsearch(&wanted, dump->list, dump->count, sizeof(*dump->list), by_inode)
			   : NULL;
}

void dumps_begin(void)
{
	kept = true;
	needed_ns = 0;
}

void dumps_not_older(uint64_t than_ns)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);

	needed_ns = now > than_ns ? now - than_ns : 0;
}

void dumps_end(void)
{
	kept = false;
	for (unsigned i = 0; i < DUMPS; i++) {
		free(dumps[i].list);
		dumps[i] = (struct dump){0};
	}
}
