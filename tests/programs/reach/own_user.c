/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses own_names.c, which it is linked with, or finds in the plugin argv[1]; and first, if argv[2] is
 * there, opens that library.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef LINKED
int SSL_connect(int handle, const char *host, int port, long a, long b, long c, long d, long e);
long SSL_read(int handle, double scale);
const char *SSL_write(int handle);
int own_names(int handle);

static long (*const table[])(int handle, double scale) = {SSL_read};

int use(void);
int use(void)
{
	printf("%d %ld %s %d\n", SSL_connect(3, "host", 443, 1, 2, 3, 4, 5), SSL_read(3, 2.5), SSL_write(3),
	       own_names(3));
	printf("%ld, same %d\n", table[0](4, 1.5), dlsym(RTLD_DEFAULT, "SSL_read") == (void *)SSL_read);
	return 0;
}
#endif

#ifdef PROGRAM
int main(int argc, char **argv)
{
#ifdef LINKED
	(void)argc, (void)argv;
	return use();
#else
	void *first = argc > 2 ? dlopen(argv[2], RTLD_NOW | RTLD_LOCAL) : NULL, *plugin;
	int (*found)(void);

	if (argc > 2 && (!first || !dlsym(first, "SSL_CTX_new")))
		return 2;
	plugin = argc > 1 ? dlopen(argv[1], RTLD_LAZY | RTLD_LOCAL) : NULL;
	*(void **)&found = plugin ? dlsym(plugin, "use") : NULL;
	if (!found)
		puts(dlerror());
	return found ? found() : 3;
#endif
}
#endif
