/* SPDX-License-Identifier: Apache-2.0 */
/* ssl_bio PORT [write]: a handshake that BIO_f_ssl drives, without any SSL_* call. */
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "reach.h"

int main(int argc, char **argv)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	BIO *tls = BIO_new_ssl(context, 1);
	BIO *chain = BIO_push(tls, BIO_new_socket(connect_to(argv[1]), BIO_CLOSE));
	char byte;

	if (argc == 2)
		printf("handshake %ld\n", BIO_do_handshake(chain));
	printf("write %d\n", BIO_puts(chain, "GET / HTTP/1.0\r\n\r\n"));
	printf("read %d\n", BIO_read(chain, &byte, 1));
	BIO_free_all(chain);
	SSL_CTX_free(context);
	return 0;
}
