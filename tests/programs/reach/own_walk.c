/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dl_iterate_phdr() of the program's own, as programs have whose threads throw many exceptions: it
 * takes no lock and knows the objects of the start.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>

typedef int visitor(struct dl_phdr_info *info, size_t size, void *data);

static struct dl_phdr_info known[64];
static size_t count;
static bool filled;

int dl_iterate_phdr(visitor *visit, void *data)
{
	int result = 0;

	if (!filled)
		return ((int (*)(visitor *, void *))dlsym(RTLD_NEXT, "dl_iterate_phdr"))(visit, data);
	for (size_t i = 0; i < count && !result; i++)
		result = visit(&known[i], sizeof(known[i]), data);
	return result;
}

static int add(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size, (void)data;
	known[count++] = *info;
	return count == sizeof(known) / sizeof(*known);
}

__attribute__((constructor)) static void look_around(void)
{
	dl_iterate_phdr(add, NULL);
	filled = true;
}
