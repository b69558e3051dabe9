/* SPDX-License-Identifier: Apache-2.0 */
/* Another thread holds a lock of OpenSSL's that the handshake needs: that of the CA certificates.
 */
#include "stall.h"

#include <openssl/x509_vfy.h>

static void *connect_there(void *ssl)
{
	NEED(handshake(ssl));
	return NULL;
}

int main(int argc, char **argv)
{
	SSL *ssl = client_of(argv[argc - 1], true);
	pthread_t thread;

	NEED(X509_STORE_lock(SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl))));
	NEED(pthread_create(&thread, NULL, connect_there, ssl) == 0);
	hang();
}
