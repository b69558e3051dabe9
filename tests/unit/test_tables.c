/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader returns for names, processes, modules, stacks and handshakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "trace/reader.h"
#include "unit/build_trace.h"

/* ---- tables --------------------------------------------------------------------------- */

static void test_names(void **state)
{
	struct build b;
	struct trace *trace;
	const char *name;

	(void)state;
	build_one(&b);
	build_string(&b, "X25519");
	trace = build_open(&b);
	assert_string_equal(trace_function_name(trace, 0), "SSL_connect");
	assert_int_equal(trace_function_kind(trace, 0), TLSTALL_KIND_CONNECT);
	assert_string_equal(trace_function_name(trace, 200), "");
	assert_int_equal(trace_function_kind(trace, 200), 0);
	assert_string_equal(trace_string(trace, 0), "");
	assert_string_equal(trace_string(trace, 1), "socket");
	assert_string_equal(trace_string(trace, UINT32_MAX), "");
	assert_string_equal(trace_state_name(trace, 2), "");

	/* written during reading: visible once complete, at the same place from then on */
	name = trace_string(trace, 2);
	b.strings[3].commit = 0;
	strcpy(b.strings[3].text, "half wri");
	assert_string_equal(trace_string(trace, 3), "");
	b.strings[3].commit = 1;
	assert_string_equal(trace_string(trace, 3), "half wri");
	assert_ptr_equal(trace_string(trace, 2), name);
	assert_string_equal(name, "X25519");
	trace_close(trace);
	build_free(&b);
}

static void test_texts_without_end(void **state)
{
	struct build b;
	struct trace *trace;

	(void)state;
	build_one(&b);
	memset(b.strings[1].text, 'x', sizeof(b.strings[1].text));
	memset(b.functions[0].name, 'f', sizeof(b.functions[0].name));
	b.functions[0].kind = 250;
	memset(b.header->host, 'h', sizeof(b.header->host));
	b.header->libssl_count = 9;
	b.header->process_count = 1000000;
	trace = build_open(&b);
	assert_int_equal(strlen(trace_string(trace, 1)), sizeof(b.strings[1].text));
	assert_int_equal(strlen(trace_function_name(trace, 0)), sizeof(b.functions[0].name));
	assert_int_equal(trace_function_kind(trace, 0), 0);
	assert_int_equal(strlen(trace_header(trace)->host), sizeof(b.header->host) - 1);
	assert_int_equal(trace_header(trace)->libssl_count, 4);
	assert_int_equal(trace_header(trace)->process_count, 4);
	trace_close(trace);
	build_free(&b);
}

static void test_processes_modules_stacks(void **state)
{
	const uint64_t frames[] = {0x401000, 0x402000};
	struct tlstall_process process;
	struct tlstall_module module;
	struct tlstall_stack stack;
	struct build b;
	struct trace *trace;
	uint32_t id;

	(void)state;
	build_trace(&b, NULL);
	build_process(&b, 4200, "worker");
	build_module(&b, "/usr/lib/libcurl.so.4", 0x400000, 0x500000);
	id = build_stack(&b, frames, 2);
	b.modules[0].build_id_size = 4000;
	trace = build_open(&b);
	assert_int_equal(trace_process(trace, 1, &process), 0);
	assert_int_equal(process.pid, 4200);
	assert_string_equal(process.comm, "worker");
	assert_int_equal(trace_process(trace, 2, &process), 1);
	assert_int_equal(trace_process(trace, 4, &process), 1);
	assert_int_equal(trace_module(trace, 0, &module), 0);
	assert_string_equal(module.path, "/usr/lib/libcurl.so.4");
	assert_int_equal(module.build_id_size, 0);
	assert_int_equal(trace_module(trace, 1, &module), 1);
	assert_int_equal(trace_stack(trace, id, &stack), 0);
	assert_int_equal(stack.count, 2);
	assert_int_equal(stack.frames[1], 0x402000);
	assert_int_equal(trace_stack(trace, 0, &stack), 1);
	b.stacks[id].count = 31;
	assert_int_equal(trace_stack(trace, id, &stack), 0);
	assert_int_equal(stack.count, TLSTALL_STACK_FRAMES);
	trace_close(trace);
	build_free(&b);
}

static const char *path_in(struct trace *trace, uint32_t id, uint64_t address)
{
	const struct tlstall_module *module;
	struct trace_modules modules;
	struct tlstall_stack stack;
	static char path[200];

	assert_int_equal(trace_stack(trace, id, &stack), 0);
	assert_int_equal(trace_modules(trace, &modules), 0);
	module = trace_module_at(&modules, &stack, address);
	strcpy(path, module ? module->path : "");
	trace_modules_free(&modules);
	return path;
}

/* Several modules with the same address: the stack says which one. */
static void test_module_of_a_stack(void **state)
{
	const uint64_t frames[] = {0x401000};
	struct trace *trace;
	struct build b;
	uint32_t id;

	(void)state;
	build_trace(&b, NULL);
	build_module(&b, "first", 0x400000, 0x500000);
	b.modules[build_module(&b, "unfinished", 0x400000, 0x500000)].commit = 0;
	build_module(&b, "third", 0x480000, 0x580000);
	id = build_stack(&b, frames, 1);
	trace = build_open(&b);
	assert_string_equal(path_in(trace, id, 0x480000), "first");
	assert_string_equal(path_in(trace, id, 0x57ffff), "third");
	assert_string_equal(path_in(trace, id, 0x580000), "");
	b.stacks[id].hash = 3ull << 48;
	assert_string_equal(path_in(trace, id, 0x480000), "third");
	assert_string_equal(path_in(trace, id, 0x47ffff), "first");
	b.stacks[id].hash = 2ull << 48;
	assert_string_equal(path_in(trace, id, 0x480000), "first");
	b.stacks[id].hash = (uint64_t)TLSTALL_SEVERAL_MODULES << 48;
	assert_string_equal(path_in(trace, id, 0x480000), "");
	assert_string_equal(path_in(trace, id, 0x47ffff), "first");
	trace_close(trace);
	/* before, these bits were of the hash */
	b.header->minor = 3;
	b.stacks[id].hash = 3ull << 48;
	trace = build_open(&b);
	assert_string_equal(path_in(trace, id, 0x480000), "first");
	trace_close(trace);
	build_free(&b);
}

/* ---- handshakes -------------------------------------------------------------------------- */

static void test_handshakes(void **state)
{
	struct tlstall_event event = {.slot = 0, .handshake = 1};
	struct tlstall_handshake h;
	struct build b;
	struct trace *trace;

	(void)state;
	build_one(&b);
	trace = build_open(&b);
	assert_int_equal(trace_slot_count(trace), 8);
	assert_int_equal(trace_handshake(trace, 0, &h), 0);
	assert_int_equal(h.outcome, TLSTALL_OUTCOME_OK);
	assert_int_equal(h.calls, 2);
	assert_string_equal(h.sni, "example.org");
	assert_int_equal(trace_handshake(trace, 1, &h), 1);
	assert_int_equal(trace_handshake(trace, 8, &h), 1);
	assert_int_equal(trace_handshake_of(trace, &event, &h), 0);
	event.handshake = 2;
	assert_int_equal(trace_handshake_of(trace, &event, &h), 1);
	event = (struct tlstall_event){.slot = TLSTALL_NO_SLOT, .handshake = 1};
	assert_int_equal(trace_handshake_of(trace, &event, &h), 1);
	b.handshakes[0].status = TLSTALL_SLOT_CLAIMED;
	assert_int_equal(trace_handshake(trace, 0, &h), 1);
	b.handshakes[0].status = 77;
	assert_int_equal(trace_handshake(trace, 0, &h), 1);
	trace_close(trace);
	build_free(&b);
}

static void test_handshake_out_of_bounds(void **state)
{
	struct tlstall_handshake *h, out;
	struct build b;
	struct trace *trace;

	(void)state;
	build_trace(&b, NULL);
	h = build_handshake(&b, 0x5000, BUILD_MS);
	h->state_count = h->alert_count = h->outcome = h->role = h->libssl = 255;
	h->read.bio_class = h->write.blocking = 255;
	memset(h->sni, 's', sizeof(h->sni));
	memset(h->alpn, 'a', sizeof(h->alpn));
	trace = build_open(&b);
	assert_int_equal(trace_handshake(trace, 0, &out), 0);
	assert_int_equal(out.state_count, TLSTALL_STATES);
	assert_int_equal(out.alert_count, 4);
	assert_int_equal(out.outcome, TLSTALL_OUTCOME_IN_FLIGHT);
	assert_int_equal(out.role, TLSTALL_ROLE_UNKNOWN);
	assert_int_equal(out.libssl, 0);
	assert_int_equal(out.read.bio_class, TLSTALL_BIO_OTHER);
	assert_int_equal(out.write.blocking, 2);
	assert_int_equal(strlen(out.sni), sizeof(out.sni) - 1);
	assert_string_equal(out.sni + 66, "ss...");
	assert_string_equal(out.alpn, "aaaaaaaaaaaa...");
	trace_close(trace);
	build_free(&b);
}

/* A source that modifies its data after each read of the slots. */
struct changing {
	struct build *b;
	void (*change)(struct tlstall_handshake *h, unsigned reading);
	unsigned readings;
};

static ssize_t changing_read(void *context, void *buffer, size_t size, uint64_t offset)
{
	struct changing *c = context;

	if (offset >= c->b->size)
		return 0;
	if (size > c->b->size - offset)
		size = c->b->size - offset;
	/* in small pieces, as if cut by signals */
	size = size > 1000 ? 1000 : size;
	memcpy(buffer, c->b->bytes + offset, size);
	if (offset == c->b->header->section[TLSTALL_SECTION_HANDSHAKES].offset)
		c->change(&c->b->handshakes[0], ++c->readings);
	return (ssize_t)size;
}

static struct trace *open_changing(struct changing *c)
{
	struct trace *trace;

	assert_int_equal(trace_open((struct trace_source){changing_read, NULL, c}, &trace), 0);
	return trace;
}

static void settle(struct tlstall_handshake *h, unsigned reading)
{
	if (reading < 3)
		h->calls = h->retries = 10 * reading;
}

static void never_settle(struct tlstall_handshake *h, unsigned reading)
{
	h->calls = reading;
}

static void replace(struct tlstall_handshake *h, unsigned reading)
{
	(void)reading;
	h->number++;
}

static void claim(struct tlstall_handshake *h, unsigned reading)
{
	(void)reading;
	h->status = TLSTALL_SLOT_CLAIMED;
	memset(h->states, 0, sizeof(h->states));
}

static void test_stable_copy(void **state)
{
	struct build b;
	struct changing c = {.b = &b};
	struct tlstall_handshake h;
	struct trace *trace;

	(void)state;
	build_one(&b);
	b.processes[0].exited = 0; /* nothing is written for a process that has ended */
	trace = open_changing(&c);
	c.change = settle;
	assert_int_equal(trace_handshake(trace, 0, &h), 0);
	assert_int_equal(h.calls, 20);
	assert_int_equal(h.retries, 20);
	c.change = never_settle;
	assert_int_equal(trace_handshake(trace, 0, &h), 0);
	assert_int_equal(h.number, 1);
	c.change = replace;
	assert_int_equal(trace_handshake(trace, 0, &h), 1);
	c.change = claim;
	assert_int_equal(trace_handshake(trace, 0, &h), 1);
	trace_close(trace);
	build_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_texts_without_end),
		cmocka_unit_test(test_processes_modules_stacks),
		cmocka_unit_test(test_module_of_a_stack),
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_handshake_out_of_bounds),
		cmocka_unit_test(test_stable_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
