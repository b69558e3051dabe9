/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one ELF file: complete, truncated, and with false values. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check/object.h"
#include "unit/make_elf.h"

static void test_object(void **state)
{
	struct elf_file *file = make_program("libone.so");
	struct object object;
	(void)state;

	add_text_tag(file, DT_NEEDED, "libtwo.so");
	add_text_tag(file, DT_RUNPATH, "$ORIGIN/lib");
	add_text_tag(file, DT_RPATH, "/old");
	add_symbol(file, "SSL_connect", false);
	add_symbol(file, "SSL_connect_not", false);
	add_symbol(file, "SSL_read", true);
	add_symbol(file, "dlsym", false);
	assert_int_equal(object_read_bytes(file->bytes, ELF_SIZE, &object), 0);
	assert_int_equal(object.needed_count, 2);
	assert_string_equal(object.needed[0], "libone.so");
	assert_string_equal(object.needed[1], "libtwo.so");
	assert_string_equal(object.runpath, "$ORIGIN/lib");
	assert_string_equal(object.rpath, "/old");
	assert_string_equal(object.interpreter, LOADER);
	assert_null(object.soname);
	assert_int_equal(object.imports, OBJECT_BIT(SSL_connect) | OBJECT_BIT(dlsym));
	assert_int_equal(object.exports, OBJECT_BIT(SSL_read));
	object_free(&object);
	free(file);
}

static void test_not_elf(void **state)
{
	struct object object;
	(void)state;

	assert_int_equal(object_read_bytes("", 0, &object), -ENOEXEC);
	assert_int_equal(object_read_bytes("hello, world", 12, &object), -ENOEXEC);
	assert_int_equal(object_read_bytes("!<arch>\n", 8, &object), -ENOEXEC);
}

/* At every length: an error or an answer, and no read past the end. */
static void test_truncated(void **state)
{
	struct elf_file *file = make_program("libone.so");
	struct object object;
	unsigned good = 0;
	(void)state;

	add_symbol(file, "SSL_connect", false);
	for (size_t size = 0; size < ELF_SIZE; size++) {
		uint8_t *copy = malloc(size + 1);
		int ret;

		memcpy(copy, file->bytes, size);
		ret = object_read_bytes(copy, size, &object);
		assert_true(ret == 0 || ret == -ENOEXEC || ret == -EBADMSG);
		good += ret == 0;
		if (size < AT_HASH)
			assert_true(ret < 0);
		object_free(&object);
		free(copy);
	}
	assert_true(good > 0);
	free(file);
}

/* False counts, offsets and sizes. */
static void test_hostile(void **state)
{
	static const uint64_t values[] = {0,	     1,		 INT32_MAX,    UINT32_MAX,
					  INT64_MAX, UINT64_MAX, ELF_SIZE - 1, ELF_SIZE};
	(void)state;

	for (size_t v = 0; v < sizeof(values) / sizeof(*values); v++) {
		for (unsigned what = 0; what < 12; what++) {
			struct elf_file *file = make_program("libone.so");
			uint32_t *hash = hash_of(file);
			struct object object;

			add_symbol(file, "SSL_connect", false);
			if (what < 4)
				tag_of(file, what)->d_un.d_val = values[v];
			else if (what == 4)
				hash[1] = (uint32_t)values[v];
			else if (what == 5)
				ehdr_of(file)->e_phnum = (Elf64_Half)values[v];
			else if (what == 6)
				ehdr_of(file)->e_phoff = values[v];
			else if (what == 7)
				phdr_of(file, 0)->p_filesz = values[v];
			else if (what == 8)
				phdr_of(file, 1)->p_filesz = values[v];
			else if (what == 9)
				phdr_of(file, 2)->p_filesz = values[v];
			else if (what == 10)
				phdr_of(file, 1)->p_offset = values[v];
			else
				tag_of(file, 4)->d_un.d_val = values[v];
			if (object_read_bytes(file->bytes, ELF_SIZE, &object) == 0)
				assert_true(object.needed_count <= 1);
			object_free(&object);
			free(file);
		}
	}
}

/* A GNU hash table without exports does not give the number of imports. */
static void test_gnu_hash(void **state)
{
	struct elf_file *file = make_program(NULL);
	uint32_t *hash = hash_of(file);
	struct object object;
	(void)state;

	add_symbol(file, "SSL_do_handshake", false);
	add_symbol(file, "SSL_accept", true);
	tag_of(file, 3)->d_tag = DT_GNU_HASH;
	memcpy(hash, (uint32_t[]){1, 2, 1, 0, 0, 0, 2, 1}, 32);
	assert_int_equal(object_read_bytes(file->bytes, ELF_SIZE, &object), 0);
	assert_int_equal(object.imports, OBJECT_BIT(SSL_do_handshake));
	assert_int_equal(object.exports, OBJECT_BIT(SSL_accept));
	object_free(&object);
	memcpy(hash, (uint32_t[]){1, 1, 1, 0, 0, 0, 0, 0}, 32);
	assert_int_equal(object_read_bytes(file->bytes, ELF_SIZE, &object), 0);
	assert_int_equal(object.imports, OBJECT_BIT(SSL_do_handshake));
	object_free(&object);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object),	  cmocka_unit_test(test_not_elf),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_gnu_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
