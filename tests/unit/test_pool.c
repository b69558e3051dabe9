/* SPDX-License-Identifier: Apache-2.0 */
/* Whether other threads or processes serve the port of a server's handshake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "diagnosis/pool.h"

static struct tlstall_handshake served(uint64_t start, uint64_t end, uint16_t process, uint16_t port)
{
	struct tlstall_handshake h = {.start = start,
				      .end = end,
				      .process = process,
				      .role = TLSTALL_ROLE_SERVER,
				      .outcome = TLSTALL_OUTCOME_OK};

	h.local.family = port ? AF_INET : 0;
	h.local.port = port;
	return h;
}

/* A silent client, for whom the thread waits that has served so many. */
static struct tlstall_handshake silent(uint64_t start, uint32_t thread_handshakes)
{
	struct tlstall_handshake h = served(start, 0, 0, 443);

	h.outcome = TLSTALL_OUTCOME_IN_FLIGHT;
	h.thread_handshakes = thread_handshakes;
	return h;
}

static void fill(struct pool *pool, const struct tlstall_handshake *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_true(pool_add(pool, &list[i]));
	pool_sort(pool);
}

/* Whoever uses the objects later, as many have ended as this thread has ended. */
static void test_one_thread(void **state)
{
	const struct tlstall_handshake list[] = {served(10, 20, 0, 443), served(30, 40, 0, 0),
						 served(50, 60, 0, 443), served(200, 210, 0, 443)};
	struct tlstall_handshake h = silent(100, 3);
	struct pool pool = {0};

	(void)state;
	fill(&pool, list, 4);
	h.end = 150;
	assert_false(pool_has_others(&pool, &h));
	/* it ends well after a while */
	h = list[3];
	h.thread_handshakes = 3;
	assert_false(pool_has_others(&pool, &h));
	pool_free(&pool);
}

static void test_several_threads(void **state)
{
	const struct tlstall_handshake list[] = {served(10, 20, 0, 443), served(30, 40, 0, 443),
						 served(120, 130, 0, 0)};
	struct tlstall_handshake h = silent(100, 2);
	struct pool pool = {0};

	(void)state;
	fill(&pool, list, 3);
	/* somebody was served meanwhile */
	assert_true(pool_has_others(&pool, &h));
	h.end = 110;
	assert_false(pool_has_others(&pool, &h));
	/* more were served before than by this thread */
	h.thread_handshakes = 1;
	assert_true(pool_has_others(&pool, &h));
	pool_free(&pool);
}

static void test_other_ports_and_processes(void **state)
{
	const struct tlstall_handshake list[] = {served(10, 20, 0, 443), served(30, 40, 1, 8443),
						 served(120, 130, 0, 8443)};
	const struct tlstall_handshake forked = served(50, 60, 1, 443);
	struct tlstall_handshake h = silent(100, 1);
	struct pool pool = {0};

	(void)state;
	fill(&pool, list, 3);
	assert_false(pool_has_others(&pool, &h));
	fill(&pool, &forked, 1);
	assert_true(pool_has_others(&pool, &h));
	pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_thread),
		cmocka_unit_test(test_several_threads),
		cmocka_unit_test(test_other_ports_and_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
