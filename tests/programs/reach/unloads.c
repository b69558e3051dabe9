/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unloads THREADS PLUGIN...: each thread loads one plugin after the other, lets it make a
 * handshake, and unloads it.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 10
#define THREADS_MAX 16

static char **plugins;
static int count;

static void *work(void *first)
{
	for (int i = 0; i < ROUNDS; i++) {
		void *plugin = dlopen(plugins[(*(int *)first + i) % count], RTLD_NOW | RTLD_LOCAL);
		int (*shake_hands)(void) = plugin ? dlsym(plugin, "shake_hands") : NULL;

		if (!shake_hands || !shake_hands() || dlclose(plugin))
			exit(1);
	}
	return first;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	int numbers[THREADS_MAX], wanted = argc > 2 ? atoi(argv[1]) : 0;

	plugins = argv + 2;
	count = argc - 2;
	if (wanted < 1 || wanted > THREADS_MAX)
		return 2;
	for (int i = 0; i < wanted; i++) {
		numbers[i] = i;
		if (pthread_create(&threads[i], NULL, work, &numbers[i]))
			return 3;
	}
	for (int i = 0; i < wanted; i++)
		pthread_join(threads[i], NULL);
	puts("all unloaded");
	return 0;
}
