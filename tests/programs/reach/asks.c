/* SPDX-License-Identifier: Apache-2.0 */
/* Asks in each way whether there is an OpenSSL, and which functions it has. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define NAMES(X)                                                                                   \
	X(SSL_connect) X(SSL_read) X(SSL_stateless) X(SSL_CTX_new) X(SSL_CTX_new_ex)               \
	X(SSL_set_info_callback) X(SSL_of_nobody) X(DTLSv1_listen)
#define WEAK(name) extern void name(void) __attribute__((weak));
#define ASK(name) ask(#name, (void *)name);

NAMES(WEAK)

static const char *answer(void *found)
{
	const char *error = dlerror();

	return found ? "there" : !error ? "not there, silently" : strstr(error, "undefined symbol") ? "not there" : error;
}

static void ask(const char *name, void *linked)
{
	printf("%s: %s", name, linked ? "linked" : "not linked");
	printf(", default %s", answer(dlsym(RTLD_DEFAULT, name)));
	printf(", next %s", answer(dlsym(RTLD_NEXT, name)));
	printf(", program %s\n", answer(dlsym(dlopen(NULL, RTLD_NOW), name)));
}

int main(int argc, char **argv)
{
	if (argc > 1 && !dlopen(argv[1], RTLD_NOW | RTLD_LOCAL))
		return 2;
	NAMES(ASK)
	return 0;
}
