/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function entries: instruction lengths compared with objdump's, and functions called through a
 * trampoline after a jump has overwritten their beginning.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "decode_x86.h"
#include "entry.h"
#include "patch.h"

#if defined(__x86_64__)

/* ---- lengths ------------------------------------------------------------------------ */

struct counts {
	unsigned long known, unknown;
};

/* "  1234:\t48 83 ec 08          \tsub    $0x8,%rsp" */
static size_t bytes_of(const char *line, uint8_t bytes[16])
{
	const char *at = strchr(line, '\t');
	size_t count = 0;
	unsigned byte;

	if (!at || strstr(line, "(bad)") || !strstr(line, ":\t"))
		return 0;
	while (count < 15 && isxdigit((unsigned char)*++at) && sscanf(at, "%2x", &byte) == 1) {
		bytes[count++] = (uint8_t)byte;
		at += 2;
	}
	return count;
}

static void compare(const char *line, struct counts *counts)
{
	/* bytes after the instruction must not matter */
	uint8_t bytes[32] = {0};
	size_t length = bytes_of(line, bytes);
	struct instruction i;

	if (!length)
		return;
	memset(bytes + length, 0xcc, sizeof(bytes) - length);
	decode_x86(bytes, &i);
	if (!i.length) {
		counts->unknown++;
		return;
	}
	counts->known++;
	if (i.length != length)
		fail_msg("%u, not %zu: %s", i.length, length, line);
}

#define LIST                                                                                       \
	"objdump -dw -j .text $(/sbin/ldconfig -p | sed -n 's/.*libssl.so.[0-9.]* .*=> //p' | head -n 1)"

static void test_lengths(void **state)
{
	struct counts counts = {0, 0};
	FILE *listing = popen(LIST, "r");
	char line[512];

	(void)state;
	assert_non_null(listing);
	while (fgets(line, sizeof(line), listing))
		compare(line, &counts);
	assert_int_equal(pclose(listing), 0);
	assert_true(counts.known > 50000);
	/* objdump lists padding with many prefixes */
	assert_true(counts.unknown * 1000 < counts.known);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *code;
		size_t length;
		enum instruction_kind kind;
		unsigned at, size;
	} rows[] = {
		{"\xf3\x0f\x1e\xfa", 4, INSTRUCTION_PLAIN, 0, 0},
		{"\x64\x48\x8b\x04\x25\x28\0\0\0", 9, INSTRUCTION_PLAIN, 0, 0},
		{"\x48\x8b\x05\x10\0\0\0", 7, INSTRUCTION_PLAIN, 3, 4},
		{"\xf7\x05\x10\0\0\0\1\0\0\0", 10, INSTRUCTION_PLAIN, 2, 4},
		{"\xf7\xd8", 2, INSTRUCTION_PLAIN, 0, 0},
		{"\x66\xb8\1\0", 4, INSTRUCTION_PLAIN, 0, 0},
		{"\x48\xb8\1\2\3\4\5\6\7\x8", 10, INSTRUCTION_PLAIN, 0, 0},
		{"\xc5\xf8\x77", 3, INSTRUCTION_PLAIN, 0, 0},
		{"\x75\xfe", 2, INSTRUCTION_BRANCH, 1, 1},
		{"\x0f\x84\1\0\0\0", 6, INSTRUCTION_BRANCH, 2, 4},
		{"\xe3\1", 2, INSTRUCTION_LOOP, 1, 1},
		{"\xe9\1\0\0\0", 5, INSTRUCTION_JUMP, 1, 4},
		{"\xe8\1\0\0\0", 5, INSTRUCTION_CALL, 1, 4},
		{"\xff\x15\1\0\0\0", 6, INSTRUCTION_CALL, 2, 4},
		{"\xff\xe0", 2, INSTRUCTION_END, 0, 0},
		{"\xc3", 1, INSTRUCTION_END, 0, 0},
		{"\xcc", 0, INSTRUCTION_PLAIN, 0, 0},		      /* a debugger's breakpoint */
		{"\x62\xf1\x7c\x48\x28\xc0", 0, INSTRUCTION_PLAIN, 0, 0}, /* EVEX */
		{"\x66\xe9\1\0\0\0", 0, INSTRUCTION_JUMP, 0, 0},
	};
	struct instruction i;

	(void)state;
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		decode_x86((const uint8_t *)rows[row].code, &i);
		assert_int_equal(i.length, rows[row].length);
		assert_int_equal(i.kind, rows[row].kind);
		assert_int_equal(i.displacement_at, rows[row].at);
		assert_int_equal(i.displacement_size, rows[row].size);
	}
}

/* ---- functions ----------------------------------------------------------------------- */

/* Each takes and returns a number, and begins with different instructions. */
#define FUNCTION(name, code)                                                                       \
	__asm__(".text\n.p2align 4\n.globl " #name "\n.type " #name ", @function\n" #name ":\n" code \
		"\n" #name "_end:\n.globl " #name "_end\n.size " #name ", . - " #name);            \
	long name(long a);                                                                         \
	extern const char name##_end[];

FUNCTION(f_pushes, "push %rbp\nmov %rsp, %rbp\npush %rbx\npush %r12\nlea 1(%rdi), %rax\npop %r12\npop %rbx\npop %rbp\nret")
FUNCTION(f_marked, "endbr64\nsub $8, %rsp\nlea 2(%rdi), %rax\nadd $8, %rsp\nret")
FUNCTION(f_thread, "mov %fs:0x28, %rax\nxor %fs:0x28, %rax\nlea 3(%rdi, %rax), %rax\nret")
FUNCTION(f_relative, "mov f_number(%rip), %rax\nadd %rdi, %rax\nret\nf_number: .quad 4")
FUNCTION(f_short, "test %rdi, %rdi\njs 1f\nlea 5(%rdi), %rax\nret\n1: lea 5(%rdi), %rax\nret")
FUNCTION(f_calls, "sub $8, %rsp\ncall f_pushes\nlea 5(%rax), %rax\nadd $8, %rsp\nret")
FUNCTION(f_leaves, "nop\nnop\njmp f_pushes")
FUNCTION(f_returns, "lea 8(%rdi), %rax\nret")
FUNCTION(f_comes_back, "push %rbx\nmov %rdi, %rbx\n1: dec %rdi\njg 1b\nlea 9(%rbx), %rax\npop %rbx\nret")
FUNCTION(f_tiny, "xor %eax, %eax\nret")
FUNCTION(f_breaks, "int3\nnop\nnop\nnop\nnop\nret")
FUNCTION(f_loops, "mov %rdi, %rcx\nloop f_loops\nret")
FUNCTION(f_points, "nop\ncall *f_pointer(%rip)\nret\nf_pointer: .quad 0")

static long wrapper(long a)
{
	return a + 1000;
}

static uint8_t *room; /* within reach of all functions */

static struct entry entry_of(long (*function)(long), const char *end)
{
	return (struct entry){
		.function = (uint8_t *)function,
		.size = (size_t)(end - (const char *)function),
		.wrapper = (const void *)wrapper,
		.room = room,
	};
}

static long call(const void *address, long a)
{
	long (*function)(long);

	memcpy(&function, &address, sizeof(function));
	return function(a);
}

static void set_room(bool writable)
{
	assert_false(mprotect(room, 4096, PROT_READ | (writable ? PROT_WRITE : PROT_EXEC)));
}

#define MOVED(name) {#name, name, name##_end}
struct row {
	const char *name;
	long (*function)(long);
	const char *end;
};

static void test_moved(void **state)
{
	static const struct row rows[] = {
		MOVED(f_pushes), MOVED(f_marked), MOVED(f_thread), MOVED(f_relative),
		MOVED(f_short),	 MOVED(f_calls),  MOVED(f_leaves), MOVED(f_returns),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct entry entry = entry_of(rows[i].function, rows[i].end);

		set_room(true);
		if (!entry_make(&entry))
			fail_msg("%s", rows[i].name);
		set_room(false);
		for (long a = -2; a < 3; a++) {
			assert_int_equal(call(entry.trampoline, a), rows[i].function(a));
			assert_int_equal(call(entry.room, a), a + 1000);
		}
		assert_int_equal(entry.jump_size, 5);
	}
}

static void test_refused(void **state)
{
	static const struct row rows[] = {
		MOVED(f_comes_back), MOVED(f_tiny), MOVED(f_breaks), MOVED(f_loops), MOVED(f_points),
	};

	(void)state;
	set_room(true);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct entry entry = entry_of(rows[i].function, rows[i].end);

		if (entry_make(&entry))
			fail_msg("%s", rows[i].name);
	}
}

/* Callers still find the mark for indirect branches. */
static void test_mark_stays(void **state)
{
	struct entry entry = entry_of(f_marked, f_marked_end);

	(void)state;
	set_room(true);
	assert_true(entry_make(&entry));
	assert_ptr_equal(entry.at, entry.function + 4);
}

/* ---- the process ---------------------------------------------------------------------- */

FUNCTION(p_one, "push %rbx\nmov %rdi, %rbx\nlea 1(%rbx), %rax\npop %rbx\nret")
FUNCTION(p_two, "push %rbx\nmov %rdi, %rbx\nlea 2(%rbx), %rax\npop %rbx\nret")
FUNCTION(p_bad, "xor %eax, %eax\nret")

extern const char __executable_start, _end;

static enum patch_result patch(struct patch *list, size_t count)
{
	return patch_functions(list, count, (uintptr_t)&__executable_start, (uintptr_t)&_end);
}

#define PATCH(name) {(uint8_t *)name, (size_t)(name##_end - (const char *)name), (const void *)wrapper, NULL}

static void test_all_or_none(void **state)
{
	struct patch list[] = {PATCH(p_one), PATCH(p_bad)};

	(void)state;
	assert_int_equal(patch(list, 2), PATCH_CODE);
	assert_int_equal(p_one(1), 2);
	assert_null(list[0].trampoline);
}

/* Runs last, because patches stay. */
static void test_patched(void **state)
{
	struct patch list[] = {PATCH(p_one), PATCH(p_two)};

	(void)state;
	assert_int_equal(patch(list, 2), PATCH_DONE);
	assert_int_equal(p_one(1), 1001);
	assert_int_equal(p_two(1), 1001);
	assert_int_equal(call(list[0].trampoline, 1), 2);
	assert_int_equal(call(list[1].trampoline, 1), 3);
}

static int make_room(void **state)
{
	uintptr_t below = ((uintptr_t)&__executable_start & ~0xffffful) - 0x100000;

	(void)state;
	room = mmap((void *)below, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	return room == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),	   cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_moved),	   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_mark_stays), cmocka_unit_test(test_all_or_none),
		cmocka_unit_test(test_patched),
	};

	return cmocka_run_group_tests(tests, make_room, NULL);
}

#else

int main(void)
{
	return 0;
}

#endif
