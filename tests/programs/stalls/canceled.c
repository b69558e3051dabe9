/* SPDX-License-Identifier: Apache-2.0 */
/* A thread is canceled in a blocking SSL_connect; the rest of the program continues. */
#include "stall.h"

static void *connect_there(void *ssl)
{
	SSL_connect(ssl);
	return NULL;
}

int main(int argc, char **argv)
{
	SSL *ssl = client_of(argv[argc - 1], false);
	pthread_t thread;

	NEED(pthread_create(&thread, NULL, connect_there, ssl) == 0);
	/* its next cancellation point is the read in which it waits for the peer */
	while (BIO_number_written(SSL_get_wbio(ssl)) == 0)
		sleep_ms(1);
	sleep_ms(100);
	NEED(pthread_cancel(thread) == 0 && pthread_join(thread, NULL) == 0);
	hang();
}
