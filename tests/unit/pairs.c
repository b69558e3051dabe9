/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/pairs.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tlstall/vocabulary.h"

void take_address(const struct sockaddr_storage *storage, struct tlstall_address *out)
{
	const struct sockaddr_in *v4 = (const void *)storage;
	const struct sockaddr_in6 *v6 = (const void *)storage;

	out->family = storage->ss_family;
	out->port = ntohs(storage->ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
	if (storage->ss_family == AF_INET)
		memcpy(out->addr, &v4->sin_addr, 4);
	else
		memcpy(out->addr, &v6->sin6_addr, 16);
}

void describe(struct pair *pair)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	pair->h = (struct tlstall_handshake){
		.tid = (uint32_t)gettid(),
		.read = {.fd = pair->one, .bio_class = TLSTALL_BIO_SOCKET},
	};
	assert_int_equal(getpeername(pair->one, (void *)&address, &size), 0);
	take_address(&address, &pair->h.peer);
}

int listen_on(const struct sockaddr *address, socklen_t size)
{
	int listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(listener >= 0);
	assert_int_equal(bind(listener, address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	return listener;
}

void connect_to(struct pair *pair, int listener, const struct sockaddr_storage *address,
		socklen_t size)
{
	pair->one = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(pair->one, (const void *)address, size), 0);
	pair->other = accept(listener, NULL, NULL);
	assert_true(pair->other >= 0);
	close(listener);
	describe(pair);
}

void tcp_pair(struct pair *pair, int family)
{
	struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
	socklen_t size =
		family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int listener;

	if (family == AF_INET)
		((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
	listener = listen_on((void *)&address, size);
	getsockname(listener, (void *)&address, &size);
	connect_to(pair, listener, &address, size);
}

void close_pair(struct pair *pair)
{
	close(pair->one);
	close(pair->other);
}

void send_bytes(int fd, size_t count)
{
	char bytes[4096] = {0};

	assert_int_equal(send(fd, bytes, count, 0), (ssize_t)count);
}

void look_at_pair(const struct pair *pair, struct kernel_view *out)
{
	kernel_look(getpid(), &pair->h, out);
}
