/* SPDX-License-Identifier: Apache-2.0 */
/* TLS in TLS done wrong: the inner SSL object gets the descriptor of the outer one. */
#include "stall.h"

int main(int argc, char **argv)
{
	SSL *outer = client_of(argv[argc - 1], false), *inner;

	NEED(SSL_connect(outer) == 1);
	inner = SSL_new(SSL_get_SSL_CTX(outer));
	SSL_set_fd(inner, SSL_get_fd(outer));
	SSL_connect(inner);
	ERR_clear_error();
	SSL_free(inner);
	SSL_free(outer);
	return 0;
}
