/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fixed work for callgrind, which counts only the second run of measured(): counted FIGURE, run
 * with and without the shim.
 *
 * Its own open() hides the kernel's clock source from the shim, and its own clock_gettime()
 * advances by a microsecond with each call: every machine, fast or slow, executes the same code.
 */
#include "programs/common.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <time.h>

#define TIMES 8 /* how many warm handshakes or calls are counted */

int open(const char *path, int flags, ...)
{
	va_list arguments;
	int mode;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, int) : 0;
	va_end(arguments);
	if (strstr(path, "/clocksource")) {
		errno = ENOENT;
		return -1;
	}
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	static int64_t microseconds = 1700000000000000;

	(void)id;
	microseconds++;
	now->tv_sec = microseconds / 1000000;
	now->tv_nsec = microseconds % 1000000 * 1000;
	return 0;
}

static struct pair pair;
static char byte;

static void set_ends(void)
{
	BIO *client, *server;

	SSL_free(pair.client);
	SSL_free(pair.server);
	NEED(pair.client = SSL_new(pair.client_ctx));
	NEED(pair.server = SSL_new(pair.server_ctx));
	NEED(BIO_new_bio_pair(&client, 0, &server, 0) == 1);
	SSL_set_bio(pair.client, client, client);
	SSL_set_bio(pair.server, server, server);
	set_role(&pair);
}

static void handshake(void)
{
	NEED(finish(&pair));
	set_ends();
}

static void on_info(const SSL *ssl, int where, int ret)
{
	(void)ssl, (void)where, (void)ret;
}

static void set_callbacks(void)
{
	SSL_CTX_set_info_callback(pair.client_ctx, on_info);
	SSL_CTX_set_info_callback(pair.server_ctx, on_info);
}

static void get_error(void)
{
	NEED(SSL_get_error(pair.client, -1) == SSL_ERROR_WANT_READ);
}

static void want(void)
{
	NEED(SSL_do_handshake(pair.client) == -1);
}

static void read_after(void)
{
	NEED(SSL_read(pair.client, &byte, 1) == -1);
}

static void wait_for_peer(void)
{
	want();
}

static void complete(void)
{
	NEED(finish(&pair));
	NEED(SSL_read(pair.client, &byte, 1) == -1);
	NEED(SSL_write(pair.server, "x", 1) == 1);
	NEED(SSL_read(pair.client, &byte, 1) == 1);
}

static const struct figure {
	const char *name;
	void (*before)(void), (*work)(void);
} figures[] = {
	{"handshake", NULL, handshake},
	{"chained", set_callbacks, handshake},
	{"get_error", wait_for_peer, get_error},
	{"want", wait_for_peer, want},
	{"read_after", complete, read_after},
	{"once", NULL, NULL},
};

/* callgrind's --toggle-collect */
__attribute__((noinline)) void measured(const struct figure *figure);
void measured(const struct figure *figure)
{
	for (int i = 0; i < TIMES; i++)
		figure->work();
}

int main(int argc, char **argv)
{
	const struct figure *figure = figures;

	while (argc < 2 || strcmp(figure->name, argv[1])) {
		if (++figure == figures + sizeof(figures) / sizeof(*figures))
			return fputs("usage: counted FIGURE\n", stderr), 2;
	}
	pair = bio_pair(0);
	if (!figure->work)
		return finish(&pair) ? 0 : 1;
	for (int i = 0; i < 3; i++)
		handshake();
	if (figure->before)
		figure->before();
	/* once to warm up, from the same call site: volatile prevents two copies of it */
	for (volatile int i = 0; i < 2; i++)
		measured(figure);
	printf("%d\n", TIMES);
	return 0;
}
