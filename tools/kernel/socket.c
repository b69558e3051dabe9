/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/socket.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/dump.h"
#include "kernel/netlink.h"
#include "tlstall/vocabulary.h"

/* With more sockets than this, a process has no "only" connection. */
#define CANDIDATES 64

struct search {
	pid_t pid;
	struct candidate {
		uint64_t inode;
		int fd;
	} candidates[CANDIDATES];
	unsigned count;
	bool guess; /* the descriptor is not known */
	uint64_t bytes_in;
	uint64_t bytes_out; /* that had been taken out of the BIO when the last op returned */
	uint64_t written;   /* ... and with those that were in it still */
	bool is_counted; /* the byte counts are complete: it is not inside an op */
	unsigned found, exact;
	unsigned idle; /* of those that count */
	unsigned fresh, unread; /* of those, too: with bytes unread at all, and for long */
	int fd;
	struct diag_answer answer;
};

static uint64_t socket_inode(pid_t pid, int fd)
{
	char path[64], target[64];
	uint64_t inode;
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	size = readlink(path, target, sizeof(target) - 1);
	target[size > 0 ? size : 0] = '\0';
	return sscanf(target, "socket:[%" SCNu64 "]", &inode) == 1 ? inode : 0;
}

static DIR *open_descriptors(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	return opendir(path);
}

/* A process that has ended has none, nor one whose descriptors we may not see. */
static bool has_descriptors(pid_t pid)
{
	struct dirent *entry;
	DIR *directory = open_descriptors(pid);

	if (!directory)
		return false;
	do
		entry = readdir(directory);
	while (entry && entry->d_name[0] == '.');
	closedir(directory);
	return entry;
}

enum tlstall_descriptor socket_descriptor(pid_t pid, int fd, uint64_t inode)
{
	uint64_t now = socket_inode(pid, fd);
	char path[64];
	struct stat file;

	if (now)
		return inode && now != inode ? TLSTALL_DESCRIPTOR_REPLACED
					     : TLSTALL_DESCRIPTOR_KEPT;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	if (!lstat(path, &file))
		return TLSTALL_DESCRIPTOR_REPLACED;
	/* without the right to look, or without the process, nothing is known */
	if (errno != ENOENT || !has_descriptors(pid))
		return TLSTALL_DESCRIPTOR_KEPT;
	return TLSTALL_DESCRIPTOR_CLOSED;
}

static void add_candidate(struct search *search, int fd, uint64_t inode)
{
	if (inode && search->count < CANDIDATES)
		search->candidates[search->count++] = (struct candidate){inode, fd};
}

/* Returns false if there are too many. */
static bool add_all_sockets(struct search *search, pid_t pid)
{
	struct dirent *entry;
	DIR *directory = open_descriptors(pid);

	if (!directory)
		return false;
	while ((entry = readdir(directory)) && search->count < CANDIDATES) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.')
			add_candidate(search, fd, socket_inode(pid, fd));
	}
	closedir(directory);
	return search->count < CANDIDATES;
}

/* Whether the handshake's bytes can have gone through it. */
static bool is_plausible(const struct search *search, const struct tlstall_socket *socket)
{
	return socket->tcp_state != TCP_LISTEN && socket->bytes_received >= search->bytes_in &&
	       socket->bytes_acked + socket->outq >= search->bytes_out;
}

/* bytes_acked may count the SYN. */
static bool has_carried(const struct tlstall_socket *socket, uint64_t bytes)
{
	return bytes && socket->bytes_acked + socket->outq - bytes <= 1;
}

/* It carried exactly the handshake's bytes. */
static bool is_exact(const struct search *search, const struct tlstall_socket *socket)
{
	return search->is_counted && socket->bytes_received == search->bytes_in + socket->inq &&
	       (has_carried(socket, search->bytes_out) || has_carried(socket, search->written));
}

/* The handshake's bytes, or, after others of before TLS, nothing since ours were sent. */
static bool has_brought_no_more(const struct search *search, const struct tlstall_socket *socket)
{
	return socket->bytes_received == search->bytes_in ||
	       (search->written && socket->last_data_recv_ms > socket->last_data_sent_ms);
}

/* It took all that OpenSSL wrote, all that it brought was read, and nothing waits in it. */
static bool is_idle(const struct search *search, const struct tlstall_socket *socket)
{
	return search->is_counted && socket->tcp_state == TCP_ESTABLISHED && !socket->inq &&
	       !socket->outq && has_brought_no_more(search, socket) &&
	       socket->bytes_acked >= search->written;
}

/* Returns false if it does not count: others have carried exactly the handshake's bytes. */
static bool count(struct search *search, const struct tlstall_socket *socket)
{
	search->found++;
	if (!is_exact(search, socket)) {
		if (search->exact)
			return false;
	} else if (!search->exact++) {
		search->idle = search->fresh = search->unread = 0;
	}
	search->idle += is_idle(search, socket);
	search->fresh += socket->inq != 0;
	search->unread += socket->inq && socket->last_data_recv_ms >= TLSTALL_UNREAD_MS;
	return true;
}

static void consider(const struct diag_answer *answer, void *context)
{
	struct search *search = context;

	for (unsigned i = 0; i < search->count; i++) {
		if (search->candidates[i].inode != answer->inode ||
		    (search->guess && !is_plausible(search, &answer->socket)))
			continue;
		if (!count(search, &answer->socket))
			return;
		search->fd = search->candidates[i].fd;
		search->answer = *answer;
		return;
	}
}

/* What a question without an address of ours would answer. */
static void search_dump(const struct dump *dump, struct search *search,
			const struct diag_query *query)
{
	for (unsigned i = 0; i < search->count; i++) {
		const struct diag_answer *answer = dump_find(dump, search->candidates[i].inode);

		if (answer && (!query->peer.family || answer->peer.port == query->peer.port))
			consider(answer, search);
	}
}

static void ask_kernel(struct search *search, const struct diag_query *query)
{
	int netlink = diag_open(search->pid);

	if (netlink < 0)
		return;
	diag_ask(netlink, query, consider, search);
	close(netlink);
}

static void ask(struct search *search, const struct tlstall_handshake *h, uint8_t family)
{
	bool tcp = h->read.bio_class != TLSTALL_BIO_DATAGRAM && family != AF_UNIX;
	const struct dump *dump;
	struct diag_query query = {
		.family = family,
		.protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP,
		.inode = search->candidates[0].inode,
	};

	if (h->peer.family == family) {
		query.peer = h->peer;
		query.local = h->local;
	}
	if (query.local.family) {
		ask_kernel(search, &query);
		if (search->found)
			return;
		/* an address with a scope, or translated on the way: search by inode only */
		query.local.family = 0;
	}
	dump = tcp ? dump_of(search->pid, family) : NULL;
	if (dump)
		search_dump(dump, search, &query);
	else
		ask_kernel(search, &query);
}

static void ask_families(struct search *search, const struct tlstall_handshake *h)
{
	if (h->peer.family) {
		ask(search, h, (uint8_t)h->peer.family);
		return;
	}
	ask(search, h, AF_INET);
	ask(search, h, AF_INET6);
	/* their byte counts are not known: of several, none can be told */
	if (!search->guess && !search->found)
		ask(search, h, AF_UNIX);
}

static bool is_known(uint16_t family)
{
	return family == 0 || family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

/* What the program had taken out of the memory BIO when the last op returned. */
static uint64_t taken_out(const struct tlstall_handshake *h)
{
	bool waits = tlstall_is_in_memory(&h->write) && h->pending_out != UINT32_MAX;

	return waits && h->bytes_out >= h->pending_out ? h->bytes_out - h->pending_out
						       : h->bytes_out;
}

static bool is_socket(const struct tlstall_transport *transport)
{
	return transport->bio_class == TLSTALL_BIO_SOCKET ||
	       transport->bio_class == TLSTALL_BIO_DATAGRAM;
}

int socket_look(pid_t pid, const struct tlstall_handshake *h, struct kernel_view *out)
{
	struct search search = {
		.pid = pid,
		.fd = -1,
		.guess = h->read.fd < 0,
		.bytes_in = h->bytes_in,
		.bytes_out = taken_out(h),
		.written = h->bytes_out,
		.is_counted = h->calls && !h->enter,
	};

	if (!is_known(h->peer.family))
		return -1;
	if (h->read.fd >= 0 && is_socket(&h->read))
		out->descriptor = socket_descriptor(pid, h->read.fd, h->socket_inode);
	if (!search.guess)
		add_candidate(&search, h->read.fd, socket_inode(pid, h->read.fd));
	else if (!add_all_sockets(&search, pid))
		return -1;
	if (!search.count)
		return -1;
	ask_families(&search, h);
	if (search.guess) {
		out->fitting = search.exact ? search.exact : search.found;
		out->idle = search.fresh ? 0 : search.idle;
		out->unread = search.is_counted ? search.unread : 0;
	}
	if (search.exact != 1 && search.found != 1)
		return -1;
	out->guessed = search.guess && search.exact != 1;
	out->socket = search.answer.socket;
	out->tcp = search.answer.tcp;
	out->peer = search.answer.peer;
	out->local = search.answer.local;
	return search.fd;
}
