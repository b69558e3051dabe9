/* SPDX-License-Identifier: Apache-2.0 */
/* Which waiting threads go on as before when they are stopped in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "attach/waiting.h"

#if defined(__x86_64__)

static struct thread_place in_call(long number, unsigned argument, uint64_t value)
{
	struct thread_place place = {.where = THREAD_SYSCALL, .number = number};

	place.arguments[argument] = value;
	return place;
}

static void test_resumed(void **state)
{
	const struct thread_place resumed[] = {
		in_call(SYS_read, 0, 0),	   in_call(SYS_epoll_wait, 0, 0),
		in_call(SYS_recvfrom, 3, MSG_PEEK), in_call(SYS_recvmsg, 2, 0),
		in_call(SYS_ppoll, 3, 0x1000),	   in_call(SYS_rt_sigsuspend, 0, 0),
		in_call(SYS_epoll_pwait, 4, 0),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(resumed) / sizeof(*resumed); i++)
		assert_true(waiting_resumes(&resumed[i]));
}

/* They would return what they have so far, or nobody would know how they go on. */
static void test_not_resumed(void **state)
{
	const struct thread_place cut_short[] = {
		in_call(SYS_write, 0, 0),	    in_call(SYS_sendto, 0, 0),
		in_call(SYS_recvfrom, 3, MSG_WAITALL), in_call(SYS_recvmsg, 2, MSG_WAITALL),
		in_call(SYS_epoll_pwait, 4, 0x1000), in_call(SYS_close, 0, 0),
	};
	struct thread_place blocked = in_call(SYS_read, 0, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(cut_short) / sizeof(*cut_short); i++)
		assert_false(waiting_resumes(&cut_short[i]));
	blocked.where = THREAD_BLOCKED;
	assert_false(waiting_resumes(&blocked));
	assert_true(waiting_is_resumed(SYS_epoll_wait));
	assert_false(waiting_is_resumed(SYS_close));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resumed),
		cmocka_unit_test(test_not_resumed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return 0;
}

#endif
