/* SPDX-License-Identifier: Apache-2.0 */
/* A library that opens $PLUGIN in its constructor, which may run before the shim's. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

static int (*of_plugin)(int fd);
int handshake(int fd);

__attribute__((constructor)) static void open_plugin(void)
{
	void *plugin = dlopen(getenv("PLUGIN"), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);

	if (!plugin)
		abort();
	*(void **)&of_plugin = dlsym(plugin, "handshake");
}

int handshake(int fd)
{
	return of_plugin(fd);
}
