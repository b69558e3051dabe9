/* SPDX-License-Identifier: Apache-2.0 */
/* Ops by thread: the longest rest equals the one found by looking at each op. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diagnosis/ops.h"
#include "unit/build_trace.h"

#define THREADS 3u
#define CALLS 2048u

struct work {
	struct build b;
	struct trace *trace;
	struct tlstall_handshake *h[THREADS];
	struct ops ops;
};

/* The threads take turns; rests have many lengths, some equal. */
static void begin(struct work *w)
{
	const struct build_plan plan = {.handshakes = THREADS, .opening = CALLS, .rest = CALLS};
	uint64_t at = 0;

	*w = (struct work){0};
	build_trace(&w->b, &plan);
	for (unsigned i = 0; i < THREADS; i++) {
		w->h[i] = build_handshake(&w->b, 0x5000 + i, 0);
		w->h[i]->tid = BUILD_TID + i;
	}
	for (unsigned i = 0; i < CALLS; i++) {
		at += i * 7919 % 97 * BUILD_US + 10;
		build_call(&w->b, w->h[i * i % 7 % THREADS], "SSL_connect", at, 10, -1,
			   BUILD_WANT_READ);
	}
	w->trace = build_open(&w->b);
	assert_int_equal(ops_read(w->trace, &w->ops), 0);
	assert_int_equal(w->ops.count, CALLS);
}

static void finish(struct work *w)
{
	ops_free(&w->ops);
	trace_close(w->trace);
	build_free(&w->b);
}

static struct span look_at_each(const struct ops *ops, size_t first, size_t last, struct span in)
{
	struct span hole = {in.from, in.from};
	uint64_t at = in.from;

	for (size_t i = first; i <= last; i++) {
		uint64_t next = i < last ? ops->list[i].end : in.to;

		if (next - at > hole.to - hole.from)
			hole = (struct span){at, next};
		at = next;
	}
	return hole;
}

static void assert_hole(const struct work *w, const struct tlstall_handshake *h, struct span in)
{
	size_t first = ops_find(&w->ops, h, in.from), last = ops_find(&w->ops, h, in.to);
	struct span expected = look_at_each(&w->ops, first, last, in);
	struct span hole = ops_hole(&w->ops, first, last, in);

	assert_int_equal(hole.from, expected.from);
	assert_int_equal(hole.to, expected.to);
}

static void test_hole(void **state)
{
	struct work w;

	(void)state;
	begin(&w);
	for (unsigned thread = 0; thread < THREADS; thread++) {
		for (uint64_t from = 0; from < 100; from += 7) {
			for (uint64_t to = from; to < 105; to += 3)
				assert_hole(&w, w.h[thread],
					    (struct span){from * BUILD_MS, to * BUILD_MS});
		}
	}
	finish(&w);
}

static void test_sums(void **state)
{
	struct work w;

	(void)state;
	begin(&w);
	for (size_t i = 0; i < w.ops.count; i++) {
		size_t first = ops_find(&w.ops, w.h[w.ops.list[i].tid - BUILD_TID], 0);

		assert_int_equal(w.ops.list[i].busy, 10 * (i - first + 1));
		assert_int_equal(w.ops.list[i].ended, 0);
	}
	finish(&w);
}

static void test_whose(void **state)
{
	struct work w;

	(void)state;
	begin(&w);
	for (unsigned i = 0; i < THREADS; i++) {
		size_t first = ops_find(&w.ops, w.h[i], 0), last = ops_find(&w.ops, w.h[i], -1ull);

		assert_true(last > first + 200);
		assert_int_equal(ops_on(&w.ops, first, last, 0x5000 + i), last - first);
		assert_int_equal(ops_on(&w.ops, first, last, 0x5001 + i), 0);
	}
	finish(&w);
}

/* A disk that fails after some reads. */
struct failing {
	const struct build *b;
	unsigned left;
};

static ssize_t failing_read(void *context, void *buffer, size_t size, uint64_t offset)
{
	struct failing *f = context;

	if (!f->left) {
		errno = EIO;
		return -1;
	}
	f->left--;
	if (offset >= f->b->size)
		return 0;
	size = size < f->b->size - offset ? size : f->b->size - offset;
	memcpy(buffer, f->b->bytes + offset, size);
	return (ssize_t)size;
}

/* A part of the ops would show a thread at rest while it worked. */
static void test_all_or_an_error(void **state)
{
	struct failing f;
	struct trace *trace;
	unsigned failed = 0;
	struct work w;
	int result;

	(void)state;
	begin(&w);
	f.b = &w.b;
	do {
		struct ops ops = {0};

		f.left = 1000;
		assert_int_equal(trace_open((struct trace_source){failing_read, NULL, &f}, &trace), 0);
		f.left = failed;
		result = ops_read(trace, &ops);
		assert_true(result == TRACE_ERROR_IO || (!result && ops.count == CALLS));
		failed += result != 0;
		ops_free(&ops);
		trace_close(trace);
	} while (result);
	assert_true(failed > 2);
	finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_all_or_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
