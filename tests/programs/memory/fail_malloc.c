/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded: allocation number $FAIL_AT fails (0: none), and the number of all is written to
 * $COUNT_TO.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void *__libc_malloc(size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_calloc(size_t count, size_t size);

static long count, fail_at;

__attribute__((constructor)) static void begin(void)
{
	fail_at = atol(getenv("FAIL_AT"));
	count = 0;
}

__attribute__((destructor)) static void end(void)
{
	long all = count;
	FILE *out = fopen(getenv("COUNT_TO"), "w");

	if (out) {
		fprintf(out, "%ld", all);
		fclose(out);
	}
}

static int fails(void)
{
	if (++count != fail_at)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}

void *calloc(size_t number, size_t size)
{
	return fails() ? NULL : __libc_calloc(number, size);
}
