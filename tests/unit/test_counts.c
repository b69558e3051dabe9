/* SPDX-License-Identifier: Apache-2.0 */
/* What `tlstall serve` keeps is bounded: series of handshakes, and the newest records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "serve/counts.h"
#include "serve/peers.h"
#include "serve/recent.h"

static void add(struct counts *counts, uint16_t version, uint8_t outcome, uint64_t ns)
{
	struct subject *subject = calloc(1, sizeof(*subject));

	assert_non_null(subject);
	subject->h.version = version;
	subject->h.outcome = outcome;
	subject->h.role = TLSTALL_ROLE_CLIENT;
	subject->h.want_read = 2;
	subject->facts.age_ns = ns;
	subject->verdict_count = 1;
	counts_add(counts, subject);
	free(subject);
}

static void test_alike_are_one_series(void **state)
{
	struct counts counts = {0};

	(void)state;
	add(&counts, 0x0304, TLSTALL_OUTCOME_OK, 1);
	add(&counts, 0x0304, TLSTALL_OUTCOME_OK, 1);
	add(&counts, 0x0303, TLSTALL_OUTCOME_OK, 1);
	assert_int_equal(counts.series_count, 2);
	assert_int_equal(counts.series[0].count, 2);
	assert_int_equal(counts.want_read, 6);
	counts_free(&counts);
}

/* A trace may claim any OpenSSL version. */
static void test_series_have_a_bound(void **state)
{
	struct counts counts = {0};
	uint64_t sum = 0;

	(void)state;
	for (unsigned version = 0; version < 65536; version++)
		add(&counts, (uint16_t)version, TLSTALL_OUTCOME_OK, 1);
	assert_int_equal(counts.series_count, COUNTS_SERIES + 1);
	assert_true(counts.series[COUNTS_SERIES].other);
	for (unsigned i = 0; i < counts.series_count; i++)
		sum += counts.series[i].count;
	assert_int_equal(sum, 65536);
	counts_free(&counts);
}

static void test_buckets(void **state)
{
	struct counts counts = {0};
	const struct count_durations *d =
		&counts.durations[TLSTALL_ROLE_CLIENT][TLSTALL_OUTCOME_OK];

	(void)state;
	add(&counts, 0, TLSTALL_OUTCOME_OK, 1000000);	     /* equal to its bucket's bound */
	add(&counts, 0, TLSTALL_OUTCOME_OK, 1000001);
	add(&counts, 0, TLSTALL_OUTCOME_OK, 61000000000ull); /* beyond all buckets */
	assert_int_equal(d->buckets[0], 1);
	assert_int_equal(d->buckets[1], 1);
	assert_int_equal(d->buckets[COUNTS_BUCKETS - 1], 1);
	assert_int_equal(d->count, 3);
	assert_float_equal(d->sum_s, 61.002000001, 1e-9);
	counts_free(&counts);
}

static void add_certificate(struct counts *counts, uint64_t seen_s, uint64_t not_after)
{
	struct subject *subject = calloc(1, sizeof(*subject));

	assert_non_null(subject);
	subject->h.outcome = TLSTALL_OUTCOME_OK;
	subject->h.role = TLSTALL_ROLE_CLIENT;
	subject->h.not_after = not_after;
	subject->facts.realtime_s = seen_s;
	subject->verdict_count = 1;
	counts_add(counts, subject);
	free(subject);
}

static void test_first_expiry_of_an_hour(void **state)
{
	const uint64_t now = 1800000000;
	struct counts counts = {0};

	(void)state;
	assert_int_equal(counts_first_expiry(&counts, TLSTALL_ROLE_CLIENT, now), 0);
	add_certificate(&counts, now - 3700, 20270101000000); /* renewed since */
	add_certificate(&counts, now - 1800, 20380119031408);
	add_certificate(&counts, now - 1800, 20380119031407);
	add_certificate(&counts, now, 20390101000000);
	add_certificate(&counts, now, 0);
	assert_int_equal(counts_first_expiry(&counts, TLSTALL_ROLE_CLIENT, now), INT32_MAX);
	assert_int_equal(counts_first_expiry(&counts, TLSTALL_ROLE_SERVER, now), 0);
	assert_int_equal(counts_first_expiry(&counts, TLSTALL_ROLE_CLIENT, now + 3000), 2177452800);
	assert_int_equal(counts_first_expiry(&counts, TLSTALL_ROLE_CLIENT, now + 7200), 0);
	counts_free(&counts);
}

static void add_bad(struct peers *peers, uint8_t role, uint16_t port)
{
	struct subject *subject = calloc(1, sizeof(*subject));

	assert_non_null(subject);
	subject->h.outcome = TLSTALL_OUTCOME_FAILED;
	subject->h.role = role;
	subject->h.peer = (struct tlstall_address){
		.family = AF_INET, .port = port, .addr = {127, 0, 0, 1}};
	peers_add(peers, subject);
	subject->h.outcome = TLSTALL_OUTCOME_OK;
	peers_add(peers, subject);
	free(subject);
}

static void test_peers_have_a_bound(void **state)
{
	struct peers *peers = calloc(1, sizeof(*peers));

	(void)state;
	assert_non_null(peers);
	for (uint16_t port = 1; port <= 3; port++)
		add_bad(peers, TLSTALL_ROLE_SERVER, port);
	add_bad(peers, TLSTALL_ROLE_CLIENT, 443);
	add_bad(peers, TLSTALL_ROLE_CLIENT, 443);
	for (uint16_t port = 1000; port < 1000 + PEERS_KEPT - 2; port++)
		add_bad(peers, TLSTALL_ROLE_CLIENT, port);
	assert_int_equal(peers->count, PEERS_KEPT);
	add_bad(peers, TLSTALL_ROLE_CLIENT, 1); /* takes a place and its count, 1 */
	assert_int_equal(peers->count, PEERS_KEPT);
	peers_sort(peers);
	assert_string_equal(peers->list[0].address, "127.0.0.1");
	assert_int_equal(peers->list[0].bad, 3);
	assert_string_equal(peers->list[1].address, "127.0.0.1:1");
	assert_int_equal(peers->list[1].bad, 2);
	assert_string_equal(peers->list[2].address, "127.0.0.1:443");
	free(peers);
}

static void assert_next(const struct recent *recent, uint64_t after, uint64_t number)
{
	const struct recent_line *line = recent_next(recent, after);
	char text[32];

	assert_non_null(line);
	assert_int_equal(line->number, number);
	assert_int_equal(line->length, snprintf(text, sizeof(text), "line %d\n", (int)number));
	assert_memory_equal(line->text, text, line->length);
}

static void test_the_newest_records(void **state)
{
	struct recent *recent = calloc(1, sizeof(*recent));
	char line[32];

	(void)state;
	assert_non_null(recent);
	assert_null(recent_next(recent, 0));
	for (int i = 1; i <= RECENT_LINES + 10; i++) {
		snprintf(line, sizeof(line), "line %d", i);
		recent_add(recent, line, strlen(line));
	}
	assert_int_equal(recent->count, RECENT_LINES);
	assert_next(recent, 0, 11); /* those before are gone */
	assert_next(recent, 11, 12);
	assert_next(recent, RECENT_LINES + 9, RECENT_LINES + 10);
	assert_null(recent_next(recent, RECENT_LINES + 10));
	recent_free(recent);
	assert_int_equal(recent->bytes, 0);
	free(recent);
}

static void test_records_have_a_bound_in_bytes(void **state)
{
	struct recent *recent = calloc(1, sizeof(*recent));
	char *large = calloc(1, 1 << 20);

	(void)state;
	assert_non_null(recent);
	assert_non_null(large);
	for (int i = 0; i < 20; i++)
		recent_add(recent, large, 1 << 20);
	assert_true(recent->bytes <= RECENT_BYTES && recent->count == 7);
	recent_free(recent);
	free(recent);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alike_are_one_series),
		cmocka_unit_test(test_series_have_a_bound),
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_first_expiry_of_an_hour),
		cmocka_unit_test(test_peers_have_a_bound),
		cmocka_unit_test(test_the_newest_records),
		cmocka_unit_test(test_records_have_a_bound_in_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
