/* SPDX-License-Identifier: Apache-2.0 */
/*
 * comes_again WHERE PLUGIN...: loads one plugin after the other, lets it make a handshake, and unloads
 * it, again and again. WHERE is "here": each lies where one was before; or "elsewhere": none does.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define ROUNDS 10

static int use(const char *path)
{
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	int (*shake_hands)(void) = plugin ? (int (*)(void))dlsym(plugin, "shake_hands") : NULL;

	if (!shake_hands || !shake_hands() || dlclose(plugin))
		return 0;
	return !dlopen(path, RTLD_NOW | RTLD_NOLOAD);
}

int main(int argc, char **argv)
{
	for (int i = 0; argc > 2 && i < ROUNDS * (argc - 2); i++) {
		printf("%d: %d\n", i, use(argv[2 + i % (argc - 2)]));
		fflush(stdout);
		/* takes the place that is free now */
		if (!strcmp(argv[1], "elsewhere"))
			mmap(NULL, 32 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	}
	return 0;
}
