/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_host PORT MODE PLUGIN...: MODE is of local, global, deepbind, lazy, or namespace;
 * each shakes hands twice. */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "reach.h"

static int flags_of(const char *mode)
{
	return (strstr(mode, "global") ? RTLD_GLOBAL : RTLD_LOCAL) |
	       (strstr(mode, "deepbind") ? RTLD_DEEPBIND : 0) |
	       (strstr(mode, "lazy") ? RTLD_LAZY : RTLD_NOW);
}

/* One namespace: a second one with a libcrypto of its own crashes by itself. */
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
