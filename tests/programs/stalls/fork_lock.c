/* SPDX-License-Identifier: Apache-2.0 */
/* Forks while another thread holds a lock that the handshake in the child needs. */
#include "stall.h"

#include <sys/wait.h>

#include <openssl/x509_vfy.h>

static pthread_barrier_t held;

static void *hold(void *ctx)
{
	X509_STORE_lock(SSL_CTX_get_cert_store(ctx));
	pthread_barrier_wait(&held);
	hang();
}

static int child(SSL_CTX *ctx, const char *port)
{
	SSL *ssl = SSL_new(ctx);

	SSL_set_fd(ssl, connect_to(port));
	return SSL_connect(ssl) != 1;
}

int main(int argc, char **argv)
{
	SSL_CTX *ctx = client_context(TLS_client_method());
	pthread_t holder;
	pid_t pid;

	NEED(pthread_barrier_init(&held, NULL, 2) == 0);
	NEED(pthread_create(&holder, NULL, hold, ctx) == 0);
	pthread_barrier_wait(&held);
	pid = fork();
	NEED(pid >= 0);
	if (!pid)
		_exit(child(ctx, argv[argc - 1]));
	waitpid(pid, NULL, 0);
	return 0;
}
