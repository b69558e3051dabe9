/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unloads THREADS PLUGIN...: each thread loads one plugin after the other, lets it make a
 * handshake, and unloads it. 0 threads: after one round, each is in a child of its own. If there are two
 * plugins, it tells on stderr where they lay: in how many rounds at the same place as before.
 * With DEEP in the environment, a plugin's libraries come before the program's.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 10
#define THREADS_MAX 16

static char **plugins;
static int count;

typedef int function(void);

static function *use(const char *path)
{
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL | (getenv("DEEP") ? RTLD_DEEPBIND : 0));
	function *shake_hands = plugin ? (function *)dlsym(plugin, "shake_hands") : NULL;

	if (!shake_hands || !shake_hands() || dlclose(plugin))
		exit(1);
	return shake_hands;
}

static void *work(void *first)
{
	function *last = NULL, *now;
	int again = 0;

	for (int i = 0; i < ROUNDS; i++) {
		now = use(plugins[(*(int *)first + i) % count]);
		again += now == last;
		last = now;
	}
	if (count == 2 && !*(int *)first)
		fprintf(stderr, "%d\n", again);
	return first;
}

static void in_children(void)
{
	use(plugins[0]);
	for (int i = 0; i < ROUNDS; i++) {
		pid_t child = fork();
		int status;

		if (!child) {
			fprintf(stderr, "%p\n", (void *)use(plugins[i % count]));
			exit(0);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			exit(1);
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	int numbers[THREADS_MAX], wanted = argc > 2 ? atoi(argv[1]) : 0;

	plugins = argv + 2;
	count = argc - 2;
	if (wanted < 0 || wanted > THREADS_MAX)
		return 2;
	if (!wanted)
		in_children();
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
