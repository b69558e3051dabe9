/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An unrelated error in the thread's queue: harmless before a handshake op, which clears it, but
 * fatal between the op and SSL_get_error, or before a read after the handshake.
 */
#include "common.h"

#include <openssl/pem.h>

static void leave_error(void)
{
	BIO *empty = BIO_new(BIO_s_mem());

	NEED(!PEM_read_bio_X509(empty, NULL, NULL, NULL));
	NEED(ERR_peek_error());
	BIO_free(empty);
}

static void show_queue(const char *when)
{
	unsigned long head = ERR_peek_error();

	printf("%s: %s\n", when, head ? ERR_reason_error_string(head) : "empty");
}

int main(void)
{
	struct pair pair = bio_pair(0);
	char byte;
	int ret;

	leave_error();
	ret = SSL_do_handshake(pair.client);
	show_queue("after an op that began with an error");
	printf("%d %s\n", ret, error_name(SSL_get_error(pair.client, ret)));

	ret = SSL_do_handshake(pair.client);
	leave_error();
	printf("%d %s\n", ret, error_name(SSL_get_error(pair.client, ret)));
	show_queue("before the clearing");
	ERR_clear_error();

	NEED(finish(&pair));
	while (SSL_read(pair.client, &byte, 1) > 0)
		;
	leave_error();
	ret = SSL_read(pair.client, &byte, 1);
	printf("%d %s\n", ret, error_name(SSL_get_error(pair.client, ret)));
	show_queue("at the end");
	pair_free(&pair);
	return 0;
}
