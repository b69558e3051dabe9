/* SPDX-License-Identifier: Apache-2.0 */
/* The verify callback needs a lock that another thread holds. */
#include "stall.h"

static pthread_mutex_t cache = PTHREAD_MUTEX_INITIALIZER;

static int look_up(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	pthread_mutex_lock(&cache);
	pthread_mutex_unlock(&cache);
	return 1;
}

static void *connect_there(void *port)
{
	SSL *ssl = client_of(port, true);

	SSL_set_verify(ssl, SSL_VERIFY_PEER, look_up);
	NEED(handshake(ssl));
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	NEED(pthread_mutex_lock(&cache) == 0);
	NEED(pthread_create(&thread, NULL, connect_there, argv[argc - 1]) == 0);
	hang();
}
