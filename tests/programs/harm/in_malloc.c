/* SPDX-License-Identifier: Apache-2.0 */
/* Its own allocator waits for a byte on standard input, and never returns. */
#include "../common.h"

void *__libc_malloc(size_t size);
static bool stuck;

void *malloc(size_t size)
{
	char byte;

	while (stuck && read(0, &byte, 1) == 1)
		continue;
	return __libc_malloc(size);
}

int main(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	NEED(ctx);
	puts("ready");
	fflush(stdout);
	stuck = true;
	free(malloc(100));
	return 0;
}
