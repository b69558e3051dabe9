/* SPDX-License-Identifier: Apache-2.0 */
/* A handshake's socket in another network namespace. */
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/kernel.h"
#include "unit/children.h"
#include "unit/pairs.h"

struct elsewhere {
	struct pair pair; /* in memory that parent and child share */
	bool nobody;
	bool failed;
};

static void raise_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
}

static void go_elsewhere(void *argument)
{
	struct elsewhere *shared = argument;

	shared->failed = unshare(CLONE_NEWNET) != 0;
	if (!shared->failed) {
		raise_loopback();
		tcp_pair(&shared->pair, AF_INET);
		send_bytes(shared->pair.other, 321);
		shared->failed = shared->nobody && !become_nobody();
		prctl(PR_SET_DUMPABLE, 1);
		shared->pair.h.tid = (uint32_t)getpid();
	}
	child_ready();
}

static struct elsewhere *share(bool nobody)
{
	struct elsewhere *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(shared != MAP_FAILED);
	shared->nobody = nobody;
	return shared;
}

static void another_network(void **state)
{
	struct elsewhere *shared = share(false);
	struct child child = child_start(go_elsewhere, shared);
	struct kernel_view view;

	(void)state;
	if (!shared->failed) {
		kernel_look(child.pid, &shared->pair.h, &view);
		assert_int_equal(view.socket.inq, 321);
	}
	child_kill(&child);
	if (shared->failed)
		skip();
	munmap(shared, sizeof(*shared));
}

static struct elsewhere *asked_elsewhere;

/* The same user may see the descriptors, but not enter the network namespace. */
static int look_elsewhere(pid_t pid)
{
	struct kernel_view view;

	kernel_look(pid, &asked_elsewhere->pair.h, &view);
	return view.socket.ticks == 0 && view.wait == TLSTALL_WAIT_OTHER_FD ? 0 : 1;
}

static void network_that_we_may_not_enter(void **state)
{
	struct child child;
	int answer = 0;

	(void)state;
	asked_elsewhere = share(true);
	child = child_start(go_elsewhere, asked_elsewhere);
	if (!asked_elsewhere->failed)
		answer = ask_as_nobody(look_elsewhere, child.pid);
	child_kill(&child);
	if (asked_elsewhere->failed)
		skip();
	assert_int_equal(answer, 0);
	munmap(asked_elsewhere, sizeof(*asked_elsewhere));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_network),
		cmocka_unit_test(network_that_we_may_not_enter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
