/* SPDX-License-Identifier: Apache-2.0 */
/* Many looks at sockets, one dump of the kernel's list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/dump.h"
#include "kernel/kernel.h"
#include "unit/pairs.h"

static void a_dump_says_the_same(void **state)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct kernel_view alone, of_dump;
	struct pair pair;

	(void)state;
	for (int i = 0; i < 2; i++) {
		tcp_pair(&pair, families[i]);
		send_bytes(pair.other, 1234);
		look_at_pair(&pair, &alone);
		dumps_begin();
		look_at_pair(&pair, &of_dump);
		assert_non_null(dump_of(getpid(), (uint8_t)families[i]));
		dumps_end();
		assert_int_equal(of_dump.socket.inq, 1234);
		assert_int_equal(of_dump.socket.tcp_state, alone.socket.tcp_state);
		assert_int_equal(of_dump.socket.bytes_received, alone.socket.bytes_received);
		assert_memory_equal(&of_dump.peer, &alone.peer, sizeof(alone.peer));
		assert_memory_equal(&of_dump.local, &alone.local, sizeof(alone.local));
		pair.h.peer.port ^= 1; /* another connection's */
		look_at_pair(&pair, &alone);
		dumps_begin();
		look_at_pair(&pair, &of_dump);
		dumps_end();
		assert_int_equal(alone.socket.ticks, 0);
		assert_int_equal(of_dump.socket.ticks, 0);
		close_pair(&pair);
	}
}

/* What is too old for what is seen of a process now is asked for again. */
static void a_dump_ages(void **state)
{
	struct kernel_view view = {0};
	struct pair before, after;

	(void)state;
	tcp_pair(&before, AF_INET);
	dumps_begin();
	look_at_pair(&before, &view);
	assert_int_equal(view.socket.ticks, 1);
	tcp_pair(&after, AF_INET);
	do
		look_at_pair(&after, &view);
	while (!view.socket.ticks);
	dumps_end();
	assert_null(dump_of(getpid(), AF_INET)); /* nothing is kept */
	close_pair(&before);
	close_pair(&after);
}

/* Of a handshake that moved after the dump, the dump knows nothing. */
static void a_dump_is_not_older_than_the_handshake(void **state)
{
	struct kernel_view view = {0};
	struct pair pair;

	(void)state;
	tcp_pair(&pair, AF_INET);
	dumps_begin();
	look_at_pair(&pair, &view);
	assert_int_equal(view.socket.inq, 0);
	send_bytes(pair.other, 77);
	dumps_not_older(0);
	look_at_pair(&pair, &view);
	dumps_end();
	assert_int_equal(view.socket.inq, 77);
	close_pair(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dump_says_the_same),
		cmocka_unit_test(a_dump_ages),
		cmocka_unit_test(a_dump_is_not_older_than_the_handshake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
