/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts, certificates and pairs: see common.h. */
#include "common.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <openssl/ec.h>

void need_failed(const char *what, const char *file, int line)
{
	printf("%s:%d: not so: %s (errno %d)\n", file, line, what, errno);
	ERR_print_errors_fp(stdout);
	fflush(stdout);
	_exit(99);
}

static EVP_PKEY *make_key(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
	EVP_PKEY *key = NULL;

	NEED(EVP_PKEY_keygen_init(ctx) == 1);
	NEED(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1) == 1);
	NEED(EVP_PKEY_CTX_set_ec_param_enc(ctx, OPENSSL_EC_NAMED_CURVE) == 1);
	NEED(EVP_PKEY_keygen(ctx, &key) == 1);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

void make_certificate(const char *name, X509 **certificate, EVP_PKEY **key)
{
	X509 *x = X509_new();
	X509_NAME *subject = X509_NAME_new();

	*key = make_key();
	NEED(X509_set_version(x, 2) == 1);
	NEED(ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600 * 24);
	NEED(X509_set_pubkey(x, *key) == 1);
	NEED(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name,
					-1, -1, 0) == 1);
	NEED(X509_set_subject_name(x, subject) == 1);
	NEED(X509_set_issuer_name(x, subject) == 1);
	NEED(X509_sign(x, *key, EVP_sha256()) > 0);
	X509_NAME_free(subject);
	*certificate = x;
}

SSL_CTX *server_context(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	X509 *certificate;
	EVP_PKEY *key;

	NEED(ctx);
	make_certificate("localhost", &certificate, &key);
	NEED(SSL_CTX_use_certificate(ctx, certificate) == 1);
	NEED(SSL_CTX_use_PrivateKey(ctx, key) == 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return ctx;
}

SSL_CTX *client_context(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	NEED(ctx);
	return ctx;
}

static struct pair make_pair(void)
{
	struct pair pair = {
		.client_ctx = client_context(TLS_client_method()),
		.server_ctx = server_context(TLS_server_method()),
		.client_fd = -1,
		.server_fd = -1,
	};

	NEED(pair.client = SSL_new(pair.client_ctx));
	NEED(pair.server = SSL_new(pair.server_ctx));
	return pair;
}

void tcp_sockets(int fds[2], bool nonblocking)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	NEED(bind(listener, (struct sockaddr *)&address, length) == 0);
	NEED(listen(listener, 1) == 0);
	NEED(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	NEED((fds[0] = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
	NEED(connect(fds[0], (struct sockaddr *)&address, length) == 0);
	NEED((fds[1] = accept(listener, NULL, NULL)) >= 0);
	close(listener);
	for (int i = 0; i < 2; i++) {
		NEED(setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
		if (nonblocking)
			NEED(fcntl(fds[i], F_SETFL, O_NONBLOCK) == 0);
	}
}

struct pair tcp_pair(bool nonblocking)
{
	struct pair pair = make_pair();
	int fds[2];

	tcp_sockets(fds, nonblocking);
	pair.client_fd = fds[0];
	pair.server_fd = fds[1];
	NEED(SSL_set_fd(pair.client, pair.client_fd) == 1);
	NEED(SSL_set_fd(pair.server, pair.server_fd) == 1);
	set_role(&pair);
	return pair;
}

struct pair bio_pair(size_t size)
{
	struct pair pair = make_pair();
	BIO *client_bio, *server_bio;

	NEED(BIO_new_bio_pair(&client_bio, size, &server_bio, size) == 1);
	SSL_set_bio(pair.client, client_bio, client_bio);
	SSL_set_bio(pair.server, server_bio, server_bio);
	set_role(&pair);
	return pair;
}

void set_role(struct pair *pair)
{
	SSL_set_connect_state(pair->client);
	SSL_set_accept_state(pair->server);
}

void pair_free(struct pair *pair)
{
	SSL_free(pair->client);
	SSL_free(pair->server);
	SSL_CTX_free(pair->client_ctx);
	SSL_CTX_free(pair->server_ctx);
	if (pair->client_fd >= 0)
		close(pair->client_fd);
	if (pair->server_fd >= 0)
		close(pair->server_fd);
}

int step(SSL *ssl)
{
	int ret = SSL_do_handshake(ssl);

	return ret == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, ret);
}

static bool may_go_on(int error)
{
	return error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ ||
	       error == SSL_ERROR_WANT_WRITE;
}

bool finish(struct pair *pair)
{
	int client = SSL_ERROR_WANT_READ, server = SSL_ERROR_WANT_READ;

	while (client != SSL_ERROR_NONE || server != SSL_ERROR_NONE) {
		if (client != SSL_ERROR_NONE)
			client = step(pair->client);
		if (server != SSL_ERROR_NONE)
			server = step(pair->server);
		if (!may_go_on(client) || !may_go_on(server))
			return false;
	}
	return true;
}

const char *error_name(int error)
{
	static const char *const names[] = {
		"NONE",		 "SSL",		"WANT_READ",	"WANT_WRITE",
		"WANT_X509_LOOKUP", "SYSCALL",	"ZERO_RETURN",	"WANT_CONNECT",
		"WANT_ACCEPT",	 "WANT_ASYNC",	"WANT_ASYNC_JOB", "WANT_CLIENT_HELLO_CB",
		"WANT_RETRY_VERIFY",
	};

	return error >= 0 && (size_t)error < sizeof(names) / sizeof(*names) ? names[error] : "?";
}

static const char *kind_of(mode_t mode)
{
	return S_ISSOCK(mode)	? "socket"
	       : S_ISFIFO(mode) ? "pipe"
	       : S_ISREG(mode)	? "file"
	       : S_ISDIR(mode)	? "directory"
	       : S_ISCHR(mode)	? "device"
				: "other";
}

void print_descriptors(void)
{
	struct stat file;

	for (int fd = 0; fd < 1024; fd++)
		if (fstat(fd, &file) == 0)
			printf("descriptor %d: %s\n", fd, kind_of(file.st_mode));
}
