/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures how much of a thread's stack handshakes and other interposed calls use, in bytes,
 * written to the file argv[1], and the smallest stack on which a handshake succeeds.
 */
#include "../common.h"

#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define ROOM (256 << 10)
#define PAINT 0xa5

static struct pair pair;

/* There is nothing to read, so OpenSSL itself does next to nothing. */
static void *one_step(void *unused)
{
	step(pair.server);
	return unused;
}

static void *make_context(void *unused)
{
	SSL_CTX_free(SSL_CTX_new(TLS_client_method()));
	return unused;
}

static void *free_one(void *unused)
{
	SSL_free(pair.client);
	pair.client = NULL;
	return unused;
}

static void *shake_hands(void *failed)
{
	set_role(&pair);
	if (failed) {
		BIO_write(SSL_get_rbio(pair.server), "no record of TLS at all", 23);
		step(pair.client);
	} else {
		finish(&pair);
	}
	pair_free(&pair);
	return NULL;
}

static size_t depth_of(void *(*function)(void *), void *argument)
{
	unsigned char *stack = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attributes;
	pthread_t thread;
	size_t untouched = 0;

	NEED(stack != MAP_FAILED);
	memset(stack, PAINT, ROOM);
	NEED(!pthread_attr_init(&attributes) && !pthread_attr_setstack(&attributes, stack, ROOM));
	NEED(!pthread_create(&thread, &attributes, function, argument));
	NEED(!pthread_join(thread, NULL));
	while (stack[untouched] == PAINT)
		untouched++;
	munmap(stack, ROOM);
	return ROOM - untouched;
}

/* ---- the smallest stack ------------------------------------------------------------- */

static bool succeeds_with(size_t size)
{
	int status;
	pid_t child = fork();

	NEED(child >= 0);
	if (!child) {
		char *stack = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		pthread_attr_t attributes;
		pthread_t thread;

		NEED(stack != MAP_FAILED && !mprotect(stack, ROOM - size, PROT_NONE));
		pair = bio_pair(0);
		NEED(!pthread_attr_init(&attributes) && !pthread_attr_setstack(&attributes, stack, ROOM));
		NEED(!pthread_create(&thread, &attributes, shake_hands, NULL));
		NEED(!pthread_join(thread, NULL));
		_exit(0);
	}
	NEED(waitpid(child, &status, 0) == child);
	return status == 0;
}

static size_t least_stack(void)
{
	size_t size = 4096;

	while (size < ROOM && !succeeds_with(size))
		size += 4096;
	return size;
}

int main(int argc, char **argv)
{
	FILE *out;

	NEED(argc == 2 && (out = fopen(argv[1], "w")) != NULL);
	NEED(OPENSSL_init_ssl(0, NULL));
	fprintf(out, "context %zu\n", depth_of(make_context, NULL));
	pair = bio_pair(0);
	fprintf(out, "first_step %zu\n", depth_of(one_step, NULL));
	fprintf(out, "step %zu\n", depth_of(one_step, NULL));
	step(pair.client);
	fprintf(out, "free %zu\n", depth_of(free_one, NULL));
	pair = bio_pair(0);
	fprintf(out, "handshake %zu\n", depth_of(shake_hands, NULL));
	pair = bio_pair(0);
	fprintf(out, "failed %zu\n", depth_of(shake_hands, out));
	fprintf(out, "least %zu\n", least_stack());
	puts("done");
	return fclose(out);
}
