/* SPDX-License-Identifier: Apache-2.0 */
/* errno and the error queue around each call. */
#include "common.h"

static void show(const char *call, int ret)
{
	int number = errno;
	unsigned long head = ERR_peek_error();

	printf("%-24s %2d errno %d, queue %s\n", call, ret, number,
	       head ? ERR_reason_error_string(head) : "empty");
}

static void handshake_calls(struct pair *pair)
{
	int ret;

	errno = EDOM;
	ret = SSL_connect(pair->client);
	show("SSL_connect", ret);
	errno = EDOM;
	ret = SSL_get_error(pair->client, ret);
	show("SSL_get_error", ret);
	errno = EDOM;
	ret = SSL_accept(pair->server);
	show("SSL_accept", ret);
	errno = EDOM;
	ret = SSL_do_handshake(pair->client);
	show("SSL_do_handshake", ret);
	NEED(finish(pair));
}

static void data_calls(struct pair *pair)
{
	char byte;
	int ret;

	errno = EDOM;
	ret = SSL_write(pair->client, "ab", 2);
	show("SSL_write", ret);
	errno = EDOM;
	ret = SSL_peek(pair->server, &byte, 1);
	show("SSL_peek", ret);
	errno = EDOM;
	ret = SSL_read(pair->server, &byte, 1);
	show("SSL_read", ret);
	errno = EDOM;
	ret = SSL_read(pair->client, &byte, 1);
	show("SSL_read", ret);
	errno = EDOM;
	ret = SSL_shutdown(pair->client);
	show("SSL_shutdown", ret);
}

static void failing_calls(struct pair *pair)
{
	int ret;

	NEED(write(pair->server_fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) == 28);
	errno = EDOM;
	ret = SSL_connect(pair->client);
	show("SSL_connect", ret);
	errno = EDOM;
	ret = SSL_get_error(pair->client, ret);
	show("SSL_get_error", ret);
	errno = EDOM;
	ret = SSL_connect(pair->client);
	show("SSL_connect again", ret);
	ERR_clear_error();
}

static void without_bio(void)
{
	SSL_CTX *ctx = client_context(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	int ret;

	errno = EDOM;
	ret = SSL_connect(ssl);
	show("SSL_connect, no BIO", ret);
	errno = EDOM;
	ret = SSL_get_error(ssl, ret);
	show("SSL_get_error", ret);
	ERR_clear_error();
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

int main(void)
{
	struct pair pair = tcp_pair(true);

	handshake_calls(&pair);
	data_calls(&pair);
	pair_free(&pair);
	pair = tcp_pair(true);
	failing_calls(&pair);
	pair_free(&pair);
	without_bio();
	return 0;
}
