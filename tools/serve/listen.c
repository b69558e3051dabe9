/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "message.h"

#define BACKLOG 64

static int cannot(const char *text, int fd)
{
	int error = errno;

	if (fd >= 0)
		close(fd);
	return fail("cannot listen on %s: %s", text, strerror(error));
}

/* ---- a Unix socket ---------------------------------------------------------------- */

/* A socket on which nobody listens any more is in the way. One whose owner accepts nothing is left. */
static void remove_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
	    errno == ECONNREFUSED && !lstat(address->sun_path, &st) && S_ISSOCK(st.st_mode))
		unlink(address->sun_path);
	close(fd);
}

/* Only its owner may connect. */
static int open_unix(const char *text, struct listening *out)
{
	const char *path = text + strlen("unix:");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask;
	int result;

	if (!*path || strlen(path) >= sizeof(address.sun_path))
		return fail("cannot listen on %s: the path must be 1 to %zu bytes long", text,
			    sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	remove_stale(&address);
	out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	result = out->fd < 0 ? -1 : bind(out->fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (result || listen(out->fd, BACKLOG))
		return cannot(text, out->fd);
	strcpy(out->path, path);
	snprintf(out->name, sizeof(out->name), "unix:%s", path);
	out->local = true;
	return 0;
}

/* ---- TCP ------------------------------------------------------------------------------- */

static bool is_loopback(const struct addrinfo *address)
{
	if (address->ai_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address->ai_addr;

		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address->ai_addr)->sin6_addr);
}

/* getaddrinfo() takes any number, of which bind() uses the lower 16 bits. */
static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && digits <= 5 && !text[digits] && atoi(text) <= UINT16_MAX;
}

/* Splits "HOST:PORT"; an IPv6 address is in brackets. */
static int split(const char *text, char host[64], char port[8])
{
	const char *colon = strrchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : 0;

	if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	if (!length || length >= 64 || !is_port(colon + 1))
		return -1;
	memcpy(host, text, length);
	host[length] = '\0';
	strcpy(port, colon + 1);
	return 0;
}

static struct addrinfo *resolve(const char *text)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				       .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	struct addrinfo *found = NULL;
	char host[64], port[8];

	if (split(text, host, port) || getaddrinfo(host, port, &hints, &found))
		return NULL;
	return found;
}

/* The address as it can be reached: port 0 has become a real port. */
static void name_it(struct listening *out)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	char host[64] = "", port[8] = "";

	getsockname(out->fd, (struct sockaddr *)&address, &size);
	getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(out->name, sizeof(out->name), strchr(host, ':') ? "http://[%s]:%s/" : "http://%s:%s/",
		 host, port);
}

static int open_tcp(const char *text, bool any, struct listening *out)
{
	struct addrinfo *address = resolve(text);
	int one = 1;

	if (!address)
		return fail("cannot listen on '%s' (expected ADDRESS:PORT, such as 127.0.0.1:9469, or unix:PATH)",
			    text);
	out->local = is_loopback(address);
	if (!out->local && !any) {
		freeaddrinfo(address);
		return fail("other hosts can connect to %s: --token FILE is required",
			    text);
	}
	out->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (out->fd < 0 || setsockopt(out->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(out->fd, address->ai_addr, address->ai_addrlen) || listen(out->fd, BACKLOG)) {
		freeaddrinfo(address);
		return cannot(text, out->fd);
	}
	freeaddrinfo(address);
	name_it(out);
	return 0;
}

int listen_open(const char *text, bool any, struct listening *out)
{
	*out = (struct listening){.fd = -1};
	return strncmp(text, "unix:", 5) ? open_tcp(text, any, out) : open_unix(text, out);
}

void listen_close(struct listening *listening)
{
	if (listening->path[0])
		unlink(listening->path);
}
