/* SPDX-License-Identifier: Apache-2.0 */
/* A library that starts a thread before the program begins. */
#include <pthread.h>
#include <unistd.h>

int handshake_early(void);

static void *wait(void *unused)
{
	pause();
	return unused;
}

__attribute__((constructor)) static void begin(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, wait, NULL);
}

int handshake_early(void)
{
	return 0;
}
