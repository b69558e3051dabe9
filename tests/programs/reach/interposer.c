/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library for LD_PRELOAD that wraps functions of libssl, and at exit writes how often each was
 * called to the file COUNTS. Options: HANDLE looks the real functions up with a handle (its value:
 * the soname) instead of RTLD_NEXT; TAIL jumps to them; MORE wraps all of them, and SSL_new; DLSYM
 * returns its own functions from dlsym().
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef void callback(const SSL *ssl, int where, int ret);

static int looking;

static void *real(const char *name)
{
	void *found;

	looking = 1;
#ifdef HANDLE
	found = dlsym(dlopen(HANDLE, RTLD_LAZY), name);
#else
	found = dlsym(RTLD_NEXT, name);
#endif
	looking = 0;
	return found;
}

#ifdef TAIL
#define COUNT_LATER(name)
#else
#define COUNT_LATER(name) __asm__ volatile("" : : : "memory")
#endif

#define WRAP(type, name, parameters, arguments)                                                    \
	static int name##_calls;                                                                   \
	type name parameters                                                                       \
	{                                                                                          \
		static type(*next) parameters;                                                     \
                                                                                                   \
		if (!next)                                                                         \
			next = (type(*) parameters)real(#name);                                    \
		name##_calls++;                                                                    \
		type result = next arguments;                                                      \
		COUNT_LATER(name);                                                                 \
		return result;                                                                     \
	}

WRAP(int, SSL_connect, (SSL * ssl), (ssl))
#ifdef MORE
WRAP(int, SSL_do_handshake, (SSL * ssl), (ssl))
WRAP(int, SSL_read, (SSL * ssl, void *buf, int num), (ssl, buf, num))
WRAP(int, SSL_write, (SSL * ssl, const void *buf, int num), (ssl, buf, num))
WRAP(int, SSL_read_ex, (SSL * ssl, void *buf, size_t num, size_t *done), (ssl, buf, num, done))
WRAP(int, SSL_write_ex, (SSL * ssl, const void *buf, size_t num, size_t *done),
     (ssl, buf, num, done))
WRAP(int, SSL_shutdown, (SSL * ssl), (ssl))
WRAP(int, SSL_get_error, (const SSL *ssl, int ret), (ssl, ret))
WRAP(SSL *, SSL_new, (SSL_CTX * ctx), (ctx))
WRAP(SSL_CTX *, SSL_CTX_new, (const void *method), (method))
WRAP(callback *, SSL_get_info_callback, (const SSL *ssl), (ssl))
WRAP(callback *, SSL_CTX_get_info_callback, (SSL_CTX * ctx), (ctx))

static int set_calls;
void SSL_set_info_callback(SSL *ssl, callback *to)
{
	set_calls++;
	((void (*)(SSL *, callback *))real("SSL_set_info_callback"))(ssl, to);
}

void SSL_CTX_set_info_callback(SSL_CTX *ctx, callback *to)
{
	set_calls++;
	((void (*)(SSL_CTX *, callback *))real("SSL_CTX_set_info_callback"))(ctx, to);
}
#endif

#ifdef DLSYM
void *dlsym(void *handle, const char *name)
{
	static void *(*next)(void *handle, const char *name);

	/* the versions of the first glibc for x86-64 and for arm64 */
	if (!next)
		next = (void *(*)(void *, const char *))dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
	if (!next)
		next = (void *(*)(void *, const char *))dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.17");
	if (!looking && !strcmp(name, "SSL_connect"))
		return (void *)SSL_connect;
	return next(handle, name);
}
#endif

__attribute__((destructor)) static void tell(void)
{
	const char *path = getenv("COUNTS");
	FILE *file = path ? fopen(path, "a") : NULL;

	if (!file)
		return;
	fprintf(file, "SSL_connect %d\n", SSL_connect_calls);
#ifdef MORE
	fprintf(file, "SSL_do_handshake %d\nSSL_shutdown %d\nSSL_get_error %d\n",
		SSL_do_handshake_calls, SSL_shutdown_calls, SSL_get_error_calls);
	fprintf(file, "reads %d\nwrites %d\nSSL_new %d\nSSL_CTX_new %d\n",
		SSL_read_calls + SSL_read_ex_calls, SSL_write_calls + SSL_write_ex_calls,
		SSL_new_calls, SSL_CTX_new_calls);
	fprintf(file, "getters %d\nsetters %d\n",
		SSL_get_info_callback_calls + SSL_CTX_get_info_callback_calls, set_calls);
#endif
	fclose(file);
}
