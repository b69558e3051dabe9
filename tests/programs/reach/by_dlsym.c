/* SPDX-License-Identifier: Apache-2.0 */
/* by_dlsym PORT LIBRARY [dlmopen]: uses a libssl that it opens itself and does not link. */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "reach.h"

#define FUNCTION(name, type, ...) type (*name)(__VA_ARGS__) = dlsym(library, #name)

static void *open_library(const char *name, int apart)
{
	void *library = apart ? dlmopen(LM_ID_NEWLM, name, RTLD_NOW | RTLD_LOCAL)
			      : dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		puts(dlerror());
		exit(8);
	}
	return library;
}

/* What a program can notice about dlsym itself. */
static void look_at_dlsym(void *library)
{
	const char *error;
	Dl_info info;
	void *found = dlsym(library, "SSL_new");

	printf("absent: %s", dlsym(library, "SSL_no_such") ? "found" : "NULL");
	error = dlerror();
	printf(", \"%s\"", error ? strrchr(error, ':') : "no error");
	printf(", then %s\n", dlerror() ? "an error" : "none");
	printf("default %d, next %d\n", dlsym(RTLD_DEFAULT, "getpid") == (void *)getpid,
	       dlsym(RTLD_NEXT, "getpid") != NULL);
	printf("not interposed: %s\n",
	       dladdr(found, &info) && strstr(info.dli_fname, "libssl") ? "libssl's" : "whose?");
	printf("versions: %d\n", dlvsym(library, "SSL_new", "NO_SUCH_VERSION") == NULL);
	dlerror();
}

int main(int argc, char **argv)
{
	void *library = open_library(argv[2], argc > 3);
	FUNCTION(TLS_client_method, const void *, void);
	FUNCTION(SSL_CTX_new, void *, const void *);
	FUNCTION(SSL_new, void *, void *);
	FUNCTION(SSL_set_fd, int, void *, int);
	FUNCTION(SSL_connect, int, void *);
	FUNCTION(SSL_get_error, int, void *, int);
	FUNCTION(SSL_free, void, void *);
	int fd = connect_to(argv[1]), ret;
	void *ssl;

	look_at_dlsym(library);
	ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
	SSL_set_fd(ssl, fd);
	ret = SSL_connect(ssl);
	printf("SSL_connect %d, error %d\n", ret, SSL_get_error(ssl, ret));
	SSL_free(ssl);
	return 0;
}
