/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin_host PORT MODE PLUGIN...: MODE is local, global, deepbind, lazy, or namespace; each
 * plugin makes two handshakes. GLOBAL names a library that is opened before them with RTLD_GLOBAL.
 */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "reach.h"

static int flags_of(const char *mode)
{
	return (strstr(mode, "global") ? RTLD_GLOBAL : RTLD_LOCAL) |
	       (strstr(mode, "deepbind") ? RTLD_DEEPBIND : 0) |
	       (strstr(mode, "lazy") ? RTLD_LAZY : RTLD_NOW);
}

/* All in one namespace: in a second one, a second libcrypto crashes even without the shim. */
static void *load(const char *plugin, const char *mode)
{
	static void *inside;

	if (!strstr(mode, "namespace"))
		return dlopen(plugin, flags_of(mode));
	if (!inside)
		inside = dlmopen(LM_ID_NEWLM, plugin, flags_of(mode));
	return inside;
}

int main(int argc, char **argv)
{
	if (getenv("GLOBAL") && !dlopen(getenv("GLOBAL"), RTLD_NOW | RTLD_GLOBAL)) {
		puts(dlerror());
		return 8;
	}
	for (int i = 0; i < 2 * (argc - 3); i++) {
		void *plugin = load(argv[3 + i / 2], argv[2]);
		int (*handshake)(int) = plugin ? dlsym(plugin, "handshake") : NULL;
		int fd = connect_to(argv[1]);

		if (!handshake) {
			puts(dlerror());
			return 8;
		}
		printf("%d: %d\n", i, handshake(fd));
		close(fd);
	}
	return 0;
}
