/* SPDX-License-Identifier: Apache-2.0 */
/* Memory BIOs: what OpenSSL writes is never sent. */
#include "stall.h"

int main(int argc, char **argv)
{
	int fd = connect_to(argv[argc - 1]);
	SSL *ssl = SSL_new(client_context(TLS_client_method()));

	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(ssl);
	for (;;) {
		NEED(step(ssl) == SSL_ERROR_WANT_READ);
		NEED(!await(fd, POLLIN, 200));
	}
}
