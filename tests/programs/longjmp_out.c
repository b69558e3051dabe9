/* SPDX-License-Identifier: Apache-2.0 */
/* longjmp() out of a verify callback, then another handshake with other objects. */
#include "common.h"

#include <setjmp.h>

static jmp_buf out;

static int jump(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	longjmp(out, 1);
}

static void jump_once(void)
{
	struct pair pair = bio_pair(0);

	SSL_set_verify(pair.client, SSL_VERIFY_PEER, jump);
	if (setjmp(out) == 0)
		printf("finished %d\n", finish(&pair));
	else
		printf("jumped\n");
	/* The objects are not freed: OpenSSL does not promise that this is possible. */
}

int main(void)
{
	struct pair pair;

	jump_once();
	jump_once();
	pair = bio_pair(0);
	printf("another: %d\n", finish(&pair));
	pair_free(&pair);
	return 0;
}
