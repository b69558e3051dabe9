/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- in which network ------------------------------------------------------- */

struct visit {
	int network; /* descriptor of the namespace */
	int netlink;
};

static int open_here(void)
{
	return socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

static void *open_there(void *argument)
{
	struct visit *visit = argument;

	if (!setns(visit->network, CLONE_NEWNET))
		visit->netlink = open_here();
	return NULL;
}

/*
 * Opens a socket in another network namespace. Only a thread of its own goes there, and the socket
 * stays in that namespace.
 */
static int open_in(int network)
{
	struct visit visit = {network, -1};
	pthread_t thread;

	if (pthread_create(&thread, NULL, open_there, &visit))
		return -1;
	pthread_join(thread, NULL);
	return visit.netlink;
}

int diag_open(pid_t pid)
{
	struct stat ours, theirs;
	char path[32];
	int network, netlink;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	network = open(path, O_RDONLY | O_CLOEXEC);
	if (network < 0)
		return -1;
	if (!fstat(network, &theirs) && !stat("/proc/self/ns/net", &ours) &&
	    ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev)
		netlink = open_here();
	else
		netlink = open_in(network);
	close(network);
	return netlink;
}

/* ---- questions ------------------------------------------------------------------ */

static void put_address(const struct tlstall_address *address, __be32 out[4], __be16 *port)
{
	memcpy(out, address->addr, sizeof(address->addr));
	*port = htons(address->port);
}

/* States in which no process has the socket: the kernel need not list them. */
#define TIME_WAIT 6
#define NEW_SYN_RECV 12
#define NOBODYS (1u << TIME_WAIT | 1u << NEW_SYN_RECV)

static int send_inet(int netlink, const struct diag_query *query, bool exact)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 body;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			   .nlmsg_flags = NLM_F_REQUEST | (exact ? 0 : NLM_F_DUMP)},
		.body = {.sdiag_family = query->family,
			 .sdiag_protocol = query->protocol,
			 .idiag_ext = 1 << (INET_DIAG_INFO - 1) |
				      1 << (INET_DIAG_SKMEMINFO - 1),
			 .idiag_states = ~NOBODYS},
	};
	struct inet_diag_sockid *id = &request.body.id;

	id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	put_address(&query->local, id->idiag_src, &id->idiag_sport);
	put_address(&query->peer, id->idiag_dst, &id->idiag_dport);
	return send(netlink, &request, sizeof(request), 0) < 0 ? -1 : 0;
}

static int send_unix(int netlink, const struct diag_query *query)
{
	struct {
		struct nlmsghdr header;
		struct unix_diag_req body;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			   .nlmsg_flags = NLM_F_REQUEST},
		.body = {.sdiag_family = AF_UNIX,
			 .udiag_states = UINT32_MAX,
			 .udiag_ino = (uint32_t)query->inode,
			 .udiag_show = UDIAG_SHOW_RQLEN,
			 .udiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
	};

	return send(netlink, &request, sizeof(request), 0) < 0 ? -1 : 0;
}

/* ---- answers -------------------------------------------------------------------- */

static const void *find_attribute(const struct rtattr *at, int length, int type, size_t *size)
{
	for (; RTA_OK(at, length); at = RTA_NEXT(at, length)) {
		if (at->rta_type == type) {
			*size = RTA_PAYLOAD(at);
			return RTA_DATA(at);
		}
	}
	*size = 0;
	return NULL;
}

/*
 * The kernel counts all segments that ever came out of order. It holds those that still wait for
 * an earlier one in the same memory as what the program can read.
 */
static bool holds_nothing(const struct rtattr *attributes, int length)
{
	size_t size;
	const uint32_t *memory = find_attribute(attributes, length, INET_DIAG_SKMEMINFO, &size);

	return memory && size > SK_MEMINFO_RMEM_ALLOC * sizeof(*memory) &&
	       !memory[SK_MEMINFO_RMEM_ALLOC];
}

static void take_more(const struct tcp_info *info, size_t size, struct tlstall_tcp *out)
{
	/* since Linux 5.4 */
	if (size < offsetof(struct tcp_info, tcpi_snd_wnd) + sizeof(info->tcpi_snd_wnd))
		return;
	out->known = 1;
	out->notsent = info->tcpi_notsent_bytes;
	out->out_of_order = info->tcpi_rcv_ooopack;
	out->window = info->tcpi_snd_wnd;
	out->probes = info->tcpi_probes;
}

static void take_tcp_info(const struct tcp_info *info, struct tlstall_socket *out)
{
	out->tcp_state = info->tcpi_state;
	out->ca_state = info->tcpi_ca_state;
	out->retransmits = info->tcpi_retransmits;
	out->backoff = info->tcpi_backoff;
	out->total_retrans = info->tcpi_total_retrans;
	out->unacked = info->tcpi_unacked;
	out->bytes_acked = info->tcpi_bytes_acked;
	out->bytes_received = info->tcpi_bytes_received;
	out->rtt_us = info->tcpi_rtt;
	out->rto_us = info->tcpi_rto;
	out->snd_mss = info->tcpi_snd_mss;
	out->data_segs_in = info->tcpi_data_segs_in;
	out->last_ack_recv_ms = info->tcpi_last_ack_recv;
	out->last_data_recv_ms = info->tcpi_last_data_recv;
	out->last_data_sent_ms = info->tcpi_last_data_sent;
}

/* For sockets other than TCP the kernel counts memory, including overhead: only 0 is exact. */
static uint32_t bytes_of_memory(uint32_t memory)
{
	return memory ? UINT32_MAX : 0;
}

static void take_address(uint8_t family, const __be32 in[4], __be16 port,
			 struct tlstall_address *out)
{
	out->family = family;
	out->port = ntohs(port);
	memcpy(out->addr, in, family == AF_INET ? 4 : 16);
}

static void take_inet(const struct nlmsghdr *message, struct diag_answer *out)
{
	const struct inet_diag_msg *body = NLMSG_DATA(message);
	int left = (int)NLMSG_PAYLOAD(message, sizeof(*body));
	struct tcp_info info = {0};
	const struct rtattr *attributes = (const struct rtattr *)(body + 1);
	const void *attribute;
	size_t size;

	out->inode = body->idiag_inode;
	take_address(body->idiag_family, body->id.idiag_src, body->id.idiag_sport, &out->local);
	take_address(body->idiag_family, body->id.idiag_dst, body->id.idiag_dport, &out->peer);
	attribute = find_attribute(attributes, left, INET_DIAG_INFO, &size);
	if (!attribute) {
		out->socket.inq = bytes_of_memory(body->idiag_rqueue);
		out->socket.outq = bytes_of_memory(body->idiag_wqueue);
		return;
	}
	out->socket.inq = body->idiag_rqueue;
	out->socket.outq = body->idiag_wqueue;
	/* older kernels return less */
	memcpy(&info, attribute, size < sizeof(info) ? size : sizeof(info));
	take_tcp_info(&info, &out->socket);
	take_more(&info, size, &out->tcp);
	if (holds_nothing(attributes, left))
		out->tcp.out_of_order = 0;
}

static void take_unix(const struct nlmsghdr *message, struct diag_answer *out)
{
	const struct unix_diag_msg *body = NLMSG_DATA(message);
	int left = (int)NLMSG_PAYLOAD(message, sizeof(*body));
	const struct unix_diag_rqlen *queues;
	size_t size;

	out->inode = body->udiag_ino;
	out->peer.family = AF_UNIX;
	out->socket.inq = out->socket.outq = UINT32_MAX;
	queues = find_attribute((const struct rtattr *)(body + 1), left, UNIX_DIAG_RQLEN, &size);
	if (!queues || size < sizeof(*queues))
		return;
	out->socket.inq = queues->udiag_rqueue;
	out->socket.outq = bytes_of_memory(queues->udiag_wqueue);
}

static int take(const struct nlmsghdr *message, struct diag_answer *out)
{
	const struct sockaddr_nl *any = NLMSG_DATA(message); /* begins with a family, as all do */
	uint8_t family = *(const uint8_t *)any;

	*out = (struct diag_answer){.socket = {.ticks = 1}};
	if (family == AF_UNIX && message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct unix_diag_msg)))
		take_unix(message, out);
	else if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
		take_inet(message, out);
	else
		return -1;
	return 0;
}

/* 0: more to come; 1: that was all; -1 with errno. */
static int take_all(const char *buffer, size_t size, bool exact,
		    void (*each)(const struct diag_answer *, void *), void *context)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)buffer;
	struct diag_answer answer;

	for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size)) {
		if (message->nlmsg_type == NLMSG_DONE)
			return 1;
		if (message->nlmsg_type == NLMSG_ERROR) {
			errno = -((const struct nlmsgerr *)NLMSG_DATA(message))->error;
			return -1;
		}
		if (!take(message, &answer))
			each(&answer, context);
		if (exact)
			return 1;
	}
	return 0;
}

static int receive(int netlink, bool exact, void (*each)(const struct diag_answer *, void *),
		   void *context)
{
	_Alignas(struct nlmsghdr) char buffer[32768];
	int done = 0;

	while (!done) {
		ssize_t size = recv(netlink, buffer, sizeof(buffer), 0);

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return -1;
		done = take_all(buffer, (size_t)size, exact, each, context);
	}
	return done < 0 ? -1 : 0;
}

int diag_ask(int netlink, const struct diag_query *query,
	     void (*each)(const struct diag_answer *, void *), void *context)
{
	bool exact = query->family == AF_UNIX ||
		     (query->protocol == IPPROTO_TCP && query->local.family && query->peer.family);
	int sent = query->family == AF_UNIX ? send_unix(netlink, query)
					    : send_inet(netlink, query, exact);

	return sent < 0 ? -1 : receive(netlink, exact, each, context);
}
