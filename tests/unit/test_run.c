/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of `tlstall run`: filter, fold, merge, watches, settings, options, LD_PRELOAD. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "message.h"
#include "run/filter.h"
#include "run/fold.h"
#include "run/launch.h"
#include "run/merge.h"
#include "run/options.h"
#include "run/settings.h"
#include "live/watches.h"
#include "unit/build_trace.h"

#include <cmocka.h>

/* ---- filter ----------------------------------------------------------------- */

static bool fits(const char *expression, const struct filter_call *call)
{
	struct filter filter = {0};
	char error[128];
	bool result;

	assert_int_equal(filter_add(&filter, expression, error, sizeof(error)), 0);
	result = filter_fits(&filter, call);
	filter_free(&filter);
	return result;
}

static void test_filter(void **state)
{
	const struct filter_call call = {"SSL_connect", "SSL_ERROR_WANT_READ", 4123, 20000000};
	const struct filter_call good = {"SSL_read", "SSL_ERROR_NONE", 7, 20};

	(void)state;
	assert_true(fits("SSL_connect", &call));
	assert_false(fits("SSL_conn", &call));
	assert_false(fits("SSL_connect_more", &call));
	assert_true(fits("SSL_accept,SSL_connect", &call));
	assert_false(fits("SSL_accept,SSL_read", &call));
	assert_true(fits("SSL_con*", &call));
	assert_true(fits("error!=none", &call));
	assert_false(fits("error!=none", &good));
	assert_true(fits("error=WANT_READ", &call));
	assert_true(fits("error=SSL_ERROR_WANT_READ", &call));
	assert_false(fits("error=WANT_WRITE", &call));
	assert_true(fits("pid=4123", &call));
	assert_false(fits("pid=412", &call));
	assert_true(fits("slow>10ms", &call));
	assert_false(fits("slow>20ms", &call));
	assert_false(fits("slow>1", &call));
	assert_true(fits("slow>0.019", &call));
}

static void test_filter_of_several_terms(void **state)
{
	const struct filter_call call = {"SSL_connect", "SSL_ERROR_WANT_READ", 4123, 0};
	struct filter filter = {0};
	char error[128];

	(void)state;
	filter_add(&filter, "SSL_connect", error, sizeof(error));
	assert_true(filter_fits(&filter, &call));
	filter_add(&filter, "error=none", error, sizeof(error));
	assert_false(filter_fits(&filter, &call));
	filter_free(&filter);
}

static char unknown[128];

static void note_unknown(const char *name, const char *near)
{
	snprintf(unknown + strlen(unknown), sizeof(unknown) - strlen(unknown), "%s:%s ", name, near ? near : "-");
}

static void test_filter_tells_of_unknown_functions(void **state)
{
	const char *functions[] = {"SSL_connect", "SSL_accept", NULL};
	struct filter filter = {0};
	char error[128];

	(void)state;
	filter_add(&filter, "error=none", error, sizeof(error));
	filter_add(&filter, "SSL_connect,SSL_conect,SSL_a*,X*,,open", error, sizeof(error));
	filter_tell_unknown(&filter, functions, note_unknown);
	assert_string_equal(unknown, "SSL_conect:SSL_connect X*:- open:- ");
	filter_free(&filter);
}

static void test_filter_refuses(void **state)
{
	static const char *const wrong[] = {"color=blue", "",
					    "error=",	   "error!=",
					    "pid=",	   "pid=x",
					    "pid=-1",	   "slow>",
					    "slow>fast",   "slow>-1",
					    "slow>1h",	   "SSL connect",
					    "slow<1",	   "pid=99999999999999999999",
					    "error=WANT_REED"};
	struct filter filter = {0};
	char error[128] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		error[0] = '\0';
		assert_int_equal(filter_add(&filter, wrong[i], error, sizeof(error)), -1);
		assert_true(error[0]);
	}
	assert_int_equal(filter.count, 0);
	filter_free(&filter);
}

/* ---- fold --------------------------------------------------------------------- */

struct told {
	unsigned runs;
	uint64_t calls;
	struct fold_run last;
};

static void count_run(void *context, const struct fold_run *run, uint64_t now_ns)
{
	struct told *told = context;

	(void)now_ns;
	told->runs++;
	told->calls += run->count;
	told->last = *run;
}

static struct tlstall_event result(uint64_t ssl, int32_t ret, uint8_t error)
{
	return (struct tlstall_event){
		.type = TLSTALL_EVENT_CALL, .ssl = ssl, .ret = ret, .error = error, .handshake = 1};
}

/* Only the address matters. */
static char a_trace;
#define TRACE ((struct followed *)&a_trace)

static void test_a_spin_is_folded(void **state)
{
	struct tlstall_event want = result(0x5000, -1, BUILD_WANT_READ);
	struct tlstall_event done = result(0x5000, 1, BUILD_NONE);
	struct told told = {0};
	struct fold fold = {.told = count_run, .context = &told};
	unsigned plain = 0;
	uint64_t ns = BUILD_EPOCH_NS;

	(void)state;
	for (int i = 0; i < 12348; i++)
		plain += fold_add(&fold, TRACE, &want, ns += BUILD_US);
	assert_int_equal(plain, 3);
	assert_int_equal(told.runs, 0);
	assert_true(fold_add(&fold, TRACE, &done, ns));
	assert_int_equal(told.runs, 1);
	assert_int_equal(told.calls, 12345);
	assert_int_equal(told.last.event.error, BUILD_WANT_READ);
	fold_free(&fold);
}

static void test_slow_repetitions_are_not_folded(void **state)
{
	struct tlstall_event want = result(0x5000, -1, BUILD_WANT_READ);
	struct told told = {0};
	struct fold fold = {.told = count_run, .context = &told};

	(void)state;
	for (uint64_t i = 0; i < 20; i++)
		assert_true(fold_add(&fold, TRACE, &want, BUILD_EPOCH_NS + i * BUILD_S));
	fold_flush(&fold, UINT64_MAX);
	assert_int_equal(told.runs, 0);
	fold_free(&fold);
}

/* Two spin at once, each with SSL_get_error in between: each is reported separately. */
static void test_folds_keep_objects_apart(void **state)
{
	struct told told = {0};
	struct fold fold = {.told = count_run, .context = &told};
	uint64_t ns = BUILD_EPOCH_NS;
	unsigned plain = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		for (uint64_t ssl = 1; ssl <= 40; ssl++) {
			struct tlstall_event want = result(ssl << 12, -1, BUILD_WANT_READ);
			struct tlstall_event asked = want;

			asked.type = TLSTALL_EVENT_GET_ERROR;
			plain += fold_add(&fold, TRACE, &want, ns += 100);
			plain += fold_add(&fold, TRACE, &asked, ns += 100);
		}
	}
	assert_int_equal(plain, 40 * 2 * 3);
	fold_flush(&fold, UINT64_MAX);
	assert_int_equal(told.runs, 80);
	assert_int_equal(told.calls, 40 * 2 * 97);
	fold_free(&fold);
}

static void test_a_run_that_goes_on_is_told_each_second(void **state)
{
	struct tlstall_event want = result(0x5000, -1, BUILD_WANT_READ);
	struct told told = {0};
	struct fold fold = {.told = count_run, .context = &told};
	uint64_t ns = BUILD_EPOCH_NS;

	(void)state;
	for (int i = 0; i < 350; i++) {
		fold_add(&fold, TRACE, &want, ns += 10 * BUILD_MS);
		fold_flush(&fold, ns);
	}
	assert_in_range(told.runs, 2, 4);
	fold_forget(&fold, TRACE);
	assert_int_equal(told.calls, 347);
	fold_free(&fold);
}

/* ---- merge ---------------------------------------------------------------------- */

static void test_merge_sorts(void **state)
{
	struct merge merge = {0};
	struct tlstall_event event = {0};
	struct merge_item item;
	uint64_t last = 0, count = 0;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(merge_add(&merge, TRACE, (i * 2654435761u) % 997, &event), 0);
	while (merge_take(&merge, 500, &item)) {
		assert_true(item.ns >= last);
		last = item.ns;
		count++;
	}
	assert_true(last <= 500);
	while (merge_take(&merge, UINT64_MAX, &item)) {
		assert_true(item.ns >= last && item.ns > 500);
		last = item.ns;
		count++;
	}
	assert_int_equal(count, 5000);
	merge_free(&merge);
}

static void test_merge_keeps_the_order_of_equals(void **state)
{
	struct merge merge = {0};
	struct tlstall_event event = {0};
	struct merge_item item;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		event.retry = i;
		merge_add(&merge, TRACE, 7, &event);
	}
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(merge_take(&merge, 7, &item));
		assert_int_equal(item.event.retry, i);
	}
	assert_false(merge_take(&merge, UINT64_MAX, &item));
	merge_free(&merge);
}

/* ---- watches ----------------------------------------------------------------------- */

struct reported {
	unsigned count;
	uint64_t numbers[16];
	uint8_t outcomes[16];
};

static void note(void *context, const struct tlstall_handshake *h, const struct kernel_view *view)
{
	struct reported *reported = context;

	(void)view;
	assert_true(reported->count < 16);
	reported->numbers[reported->count] = h->number;
	reported->outcomes[reported->count++] = h->outcome;
}

static void test_each_handshake_is_reported_once(void **state)
{
	struct reported reported = {0};
	const struct watch_report to = {note, &reported};
	struct watches watches = {0};
	struct tlstall_event event;
	struct tlstall_handshake *h;
	struct trace *trace;
	struct build b;

	(void)state;
	build_trace(&b, NULL);
	h = build_handshake(&b, 0x5000, BUILD_MS);
	event = *build_end(&b, h, 2 * BUILD_MS, TLSTALL_OUTCOME_OK);
	build_handshake(&b, 0x6000, 3 * BUILD_MS);
	trace = build_open(&b);
	assert_int_equal(watches_open(&watches, trace), 0);
	watches_ended(&watches, trace, &event, BUILD_S, &to);
	watches_scan(&watches, trace, BUILD_S, &to);
	assert_int_equal(reported.count, 1);
	assert_int_equal(reported.outcomes[0], TLSTALL_OUTCOME_OK);
	watches_scan(&watches, trace, 2 * BUILD_S, &to);
	assert_int_equal(reported.count, 1);
	watches_finish(&watches, trace, 3 * BUILD_S, &to);
	assert_int_equal(reported.count, 2);
	assert_int_equal(reported.outcomes[1], TLSTALL_OUTCOME_IN_FLIGHT);
	assert_int_equal(watches.missed, 0);
	watches_free(&watches);
	trace_close(trace);
	build_free(&b);
}

/* A handshake whose slot was reused before everything about it was known is not forgotten. */
static void test_a_slot_that_is_used_again(void **state)
{
	struct reported reported = {0};
	const struct watch_report to = {note, &reported};
	struct watches watches = {0};
	struct tlstall_handshake *h;
	struct trace *trace;
	struct build b;

	(void)state;
	build_trace(&b, NULL);
	h = build_handshake(&b, 0x5000, BUILD_MS);
	build_handshake(&b, 0x6000, BUILD_MS);
	trace = build_open(&b);
	assert_int_equal(watches_open(&watches, trace), 0);
	watches_scan(&watches, trace, BUILD_S, &to);
	assert_int_equal(watches.count, 2);
	h->number = 77;
	trace_refresh(trace);
	watches_scan(&watches, trace, 2 * BUILD_S, &to);
	assert_int_equal(reported.count, 1);
	assert_int_equal(reported.numbers[0], 1);
	watches_finish(&watches, trace, 3 * BUILD_S, &to);
	assert_int_equal(reported.count, 3);
	watches_free(&watches);
	trace_close(trace);
	build_free(&b);
}

/* Counts reads of slots. */
struct counting {
	const struct build *b;
	unsigned reads;
};

static ssize_t read_and_count(void *context, void *buffer, size_t size, uint64_t offset)
{
	struct counting *counting = context;
	const struct tlstall_section *slots =
		&counting->b->header->section[TLSTALL_SECTION_HANDSHAKES];

	if (offset >= counting->b->size)
		return 0;
	if (size > counting->b->size - offset)
		size = counting->b->size - offset;
	counting->reads += offset >= slots->offset &&
			   offset < slots->offset + (uint64_t)slots->count * slots->entry_size;
	memcpy(buffer, counting->b->bytes + offset, size);
	return (ssize_t)size;
}

static void do_nothing(void *context)
{
	(void)context;
}

/* In mode watch, a scan goes over all slots: those that are watched are not read once more. */
static void test_a_scan_reads_each_slot_once(void **state)
{
	struct reported reported = {0};
	const struct watch_report to = {note, &reported};
	struct watches watches = {0};
	struct build b;
	struct counting counting = {&b, 0};
	struct trace *trace;

	(void)state;
	build_trace(&b, NULL);
	b.header->control.mode = TLSTALL_MODE_WATCH;
	for (unsigned i = 0; i < 3; i++)
		build_handshake(&b, 0x5000 + i, BUILD_MS);
	assert_int_equal(trace_open((struct trace_source){read_and_count, do_nothing, &counting}, &trace), 0);
	assert_int_equal(watches_open(&watches, trace), 0);
	watches_scan(&watches, trace, BUILD_S, &to);
	assert_int_equal(watches.count, 3);
	counting.reads = 0;
	watches_scan(&watches, trace, 2 * BUILD_S, &to);
	/* several may be read at once */
	assert_in_range(counting.reads, 1, 3);
	watches_free(&watches);
	trace_close(trace);
	build_free(&b);
}

/* ---- settings, options, LD_PRELOAD ---------------------------------------------------- */

static void test_defaults_are_good_settings(void **state)
{
	(void)state;
#define GOOD(id, name, standard, values) assert_true(setting_is_good(TLSTALL_SETTING_##id, standard));
	TLSTALL_SETTINGS(GOOD)
#undef GOOD
	assert_true(setting_is_good(TLSTALL_SETTING_SIZE, "262144"));
	assert_true(setting_is_good(TLSTALL_SETTING_SIZE, "4G"));
	assert_false(setting_is_good(TLSTALL_SETTING_SIZE, "5G"));
	assert_false(setting_is_good(TLSTALL_SETTING_SIZE, "255K"));
	assert_false(setting_is_good(TLSTALL_SETTING_SIZE, "2MB"));
	assert_false(setting_is_good(TLSTALL_SETTING_SIZE, " 2M"));
	assert_false(setting_is_good(TLSTALL_SETTING_SIZE, ""));
	assert_false(setting_is_good(TLSTALL_SETTING_DIR, "relative"));
	assert_false(setting_is_good(TLSTALL_SETTING_MODE, "ALL"));
}

static int parse(struct run_options *options, int argc, const char **argv)
{
	static const struct command command = {.name = "run", .arguments = ""};

	return run_options_parse(&command, argc, (char **)argv, false, options);
}

static int parse_attach(struct run_options *options, int argc, const char **argv)
{
	static const struct command command = {.name = "attach", .arguments = ""};

	return run_options_parse(&command, argc, (char **)argv, true, options);
}

static void test_options(void **state)
{
	const char *good[] = {"run", "-tt", "-ko", "f", "--format=jsonl", "prog", "-q", NULL};
	const char *bad[] = {"run", "-Z", "prog", NULL};
	const char *none[] = {"run", "-q", NULL};
	struct run_options options;

	(void)state;
	assert_int_equal(parse(&options, 7, good), 0);
	assert_string_equal(options.output, "f");
	assert_true(options.format == &format_jsonl && options.stacks && !options.quiet);
	assert_int_equal(options.style.time, LINE_TIME_MICROSECONDS);
	assert_string_equal(options.program[0], "prog");
	assert_string_equal(options.program[1], "-q");
	run_options_free(&options);
	assert_int_equal(parse(&options, 3, bad), EXIT_USAGE);
	run_options_free(&options);
	assert_int_equal(parse(&options, 2, none), EXIT_USAGE);
	run_options_free(&options);
}

static void test_options_of_attach(void **state)
{
	const char *run[] = {"run", "--for", "2min", "-p", "17", NULL};
	const char *both[] = {"run", "-p", "17", "prog", NULL};
	const char *good[] = {"attach", "--force", "--for=500ms", "17", NULL};
	const char *none[] = {"attach", "--for", "1", NULL};
	const char *two[] = {"attach", "17", "18", NULL};
	struct run_options options;

	(void)state;
	assert_int_equal(parse(&options, 5, run), 0);
	assert_true(options.pid == 17 && options.for_ns == 120000000000ull && !options.program);
	assert_int_equal(parse(&options, 4, both), EXIT_USAGE);
	assert_int_equal(parse_attach(&options, 4, good), 0);
	assert_true(options.pid == 17 && options.for_ns == 500000000 && options.force);
	assert_int_equal(parse_attach(&options, 3, none), EXIT_USAGE);
	assert_int_equal(parse_attach(&options, 3, two), EXIT_USAGE);
}

static void assert_preload(const char *existing, const char *expected)
{
	char *preload = launch_preload(existing, "/lib/libtlstall.so");

	assert_string_equal(preload, expected);
	free(preload);
}

static void test_preload(void **state)
{
	(void)state;
	assert_preload(NULL, "/lib/libtlstall.so");
	assert_preload("", "/lib/libtlstall.so");
	assert_preload("/a.so /b.so", "/a.so:/b.so:/lib/libtlstall.so");
	assert_preload("/a.so:/old/libtlstall.so::/b.so", "/a.so:/b.so:/lib/libtlstall.so");
	assert_preload("libtlstall.so", "/lib/libtlstall.so");
	assert_preload("/x/mylibtlstall.so", "/x/mylibtlstall.so:/lib/libtlstall.so");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_filter_of_several_terms),
		cmocka_unit_test(test_filter_tells_of_unknown_functions),
		cmocka_unit_test(test_filter_refuses),
		cmocka_unit_test(test_a_spin_is_folded),
		cmocka_unit_test(test_slow_repetitions_are_not_folded),
		cmocka_unit_test(test_folds_keep_objects_apart),
		cmocka_unit_test(test_a_run_that_goes_on_is_told_each_second),
		cmocka_unit_test(test_merge_sorts),
		cmocka_unit_test(test_merge_keeps_the_order_of_equals),
		cmocka_unit_test(test_each_handshake_is_reported_once),
		cmocka_unit_test(test_a_slot_that_is_used_again),
		cmocka_unit_test(test_a_scan_reads_each_slot_once),
		cmocka_unit_test(test_defaults_are_good_settings),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_options_of_attach),
		cmocka_unit_test(test_preload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
