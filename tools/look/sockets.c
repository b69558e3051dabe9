/* SPDX-License-Identifier: Apache-2.0 */
#include "look/sockets.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/netlink.h"

/* ---- which there are -------------------------------------------------------------- */

static uint64_t inode_of(int directory, const char *name)
{
	char target[64];
	uint64_t inode;
	ssize_t size = readlinkat(directory, name, target, sizeof(target) - 1);

	target[size > 0 ? size : 0] = '\0';
	return sscanf(target, "socket:[%" SCNu64 "]", &inode) == 1 ? inode : 0;
}

static bool add(struct process_sockets *sockets, int fd, uint64_t inode)
{
	struct process_socket *list = sockets->list;

	/* grows at each power of two */
	if (!(sockets->count & (sockets->count - 1)))
		list = reallocarray(list, sockets->count ? 2 * sockets->count : 1, sizeof(*list));
	if (!list)
		return false;
	sockets->list = list;
	list[sockets->count++] = (struct process_socket){.inode = inode, .fd = fd};
	return true;
}

static int by_inode(const void *a, const void *b)
{
	const struct process_socket *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static int list_all(pid_t pid, struct process_sockets *out)
{
	char path[32];
	struct dirent *entry;
	DIR *directory;
	bool fits = true;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	directory = opendir(path);
	if (!directory)
		return -1;
	while (fits && (entry = readdir(directory))) {
		uint64_t inode = entry->d_name[0] == '.' ? 0
							 : inode_of(dirfd(directory), entry->d_name);

		if (inode)
			fits = add(out, atoi(entry->d_name), inode);
	}
	closedir(directory);
	if (out->count)
		qsort(out->list, out->count, sizeof(*out->list), by_inode);
	return fits ? 0 : -1;
}

static bool is_blocking(pid_t pid, int fd)
{
	char path[48], line[128];
	unsigned flags = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file) && sscanf(line, "flags: %o", &flags) != 1)
		;
	if (file)
		fclose(file);
	return file && !(flags & O_NONBLOCK);
}

/* ---- what the kernel says ------------------------------------------------------------ */

static void take(const struct diag_answer *answer, void *context)
{
	struct process_sockets *sockets = context;
	const struct process_socket key = {.inode = answer->inode};
	struct process_socket *found =
		sockets->count && answer->inode
			? bsearch(&key, sockets->list, sockets->count, sizeof(key), by_inode)
			: NULL;

	if (!found)
		return;
	/* a socket may have several descriptors: each gets the answer */
	while (found > sockets->list && found[-1].inode == answer->inode)
		found--;
	for (; found < sockets->list + sockets->count && found->inode == answer->inode; found++) {
		found->local = answer->local;
		found->peer = answer->peer;
		found->now = answer->socket;
		found->tcp = answer->tcp;
		found->listens = answer->socket.tcp_state == TCP_LISTEN;
	}
}

static void ask_unix(int netlink, struct process_sockets *sockets)
{
	for (unsigned i = 0; i < sockets->count; i++) {
		const struct diag_query query = {.family = AF_UNIX,
						 .inode = sockets->list[i].inode};

		if (!sockets->list[i].now.ticks)
			diag_ask(netlink, &query, take, sockets);
	}
}

static void ask(pid_t pid, struct process_sockets *sockets)
{
	static const struct diag_query queries[] = {
		{.family = AF_INET, .protocol = IPPROTO_TCP},
		{.family = AF_INET6, .protocol = IPPROTO_TCP},
		{.family = AF_INET, .protocol = IPPROTO_UDP},
		{.family = AF_INET6, .protocol = IPPROTO_UDP},
	};
	int netlink = diag_open(pid);

	if (netlink < 0)
		return;
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++)
		diag_ask(netlink, &queries[i], take, sockets);
	ask_unix(netlink, sockets);
	close(netlink);
}

static bool is_local_of(const struct process_sockets *sockets, const struct process_socket *one)
{
	for (unsigned i = 0; i < sockets->count; i++) {
		if (sockets->list[i].listens && sockets->list[i].local.port == one->local.port)
			return true;
	}
	return false;
}

int sockets_read(pid_t pid, struct process_sockets *out)
{
	*out = (struct process_sockets){0};
	if (list_all(pid, out)) {
		sockets_free(out);
		return -1;
	}
	ask(pid, out);
	for (unsigned i = 0; i < out->count; i++) {
		struct process_socket *one = &out->list[i];

		one->blocking = is_blocking(pid, one->fd);
		one->accepted = one->now.tcp_state && !one->listens && is_local_of(out, one);
		if (one->listens && one->now.inq != UINT32_MAX)
			out->waiting += one->now.inq;
	}
	return 0;
}

void sockets_free(struct process_sockets *sockets)
{
	free(sockets->list);
	*sockets = (struct process_sockets){0};
}

static struct process_socket *sockets_find(const struct process_sockets *sockets, int fd)
{
	for (unsigned i = 0; fd >= 0 && i < sockets->count; i++) {
		if (sockets->list[i].fd == fd)
			return &sockets->list[i];
	}
	return NULL;
}

/* ---- which object uses which ----------------------------------------------------------- */

/* Bytes that the program has read from the socket and written to it. */
struct passed {
	uint64_t in, out;
};

static struct passed passed_socket(const struct process_socket *socket)
{
	const struct tlstall_socket *now = &socket->now;

	return (struct passed){now->bytes_received - now->inq, now->bytes_acked + now->outq};
}

static uint64_t known(uint64_t pending)
{
	return pending == UINT64_MAX ? 0 : pending;
}

static struct passed passed_object(const struct ssl_object *object)
{
	return (struct passed){object->bytes_in + known(object->pending_in),
			       object->bytes_out - known(object->pending_out)};
}

/* bytes_acked may count the SYN. */
static bool fits(const struct process_socket *socket, const struct ssl_object *object, bool exactly)
{
	struct passed s = passed_socket(socket), o = passed_object(object);

	if (!socket->now.tcp_state || socket->listens || socket->objects)
		return false;
	if (exactly)
		return s.in == o.in && (s.out == o.out || s.out == o.out + 1);
	/* something else may have used the connection before TLS */
	return s.in >= o.in && s.out >= o.out;
}

static void by_descriptor(const struct process_sockets *sockets, const struct ssl_object *objects,
			  unsigned count, struct joined_socket *out)
{
	for (unsigned i = 0; i < count; i++) {
		struct process_socket *found = sockets_find(sockets, objects[i].fd);

		out[i] = (struct joined_socket){.index = found ? (int)(found - sockets->list) : -1};
		if (found)
			found->objects++;
	}
}

static bool is_open(const struct ssl_object *object, const struct joined_socket *joined)
{
	return joined->index < 0 && object->fd < 0 && object->has_bio;
}

/* The object's only fitting socket, if no other object fits that one. */
static int only_one(const struct process_sockets *sockets, const struct ssl_object *objects,
		    unsigned count, const struct joined_socket *out, unsigned object, bool exactly)
{
	int found = -1;

	for (unsigned i = 0; i < sockets->count; i++) {
		if (!fits(&sockets->list[i], &objects[object], exactly))
			continue;
		if (found >= 0 && sockets->list[found].inode != sockets->list[i].inode)
			return -1;
		found = (int)i;
	}
	for (unsigned i = 0; i < count && found >= 0; i++) {
		if (i != object && is_open(&objects[i], &out[i]) &&
		    fits(&sockets->list[found], &objects[i], exactly))
			return -1;
	}
	return found;
}

static void by_bytes(const struct process_sockets *sockets, const struct ssl_object *objects,
		     unsigned count, struct joined_socket *out, bool exactly)
{
	for (unsigned i = 0; i < count; i++) {
		if (!is_open(&objects[i], &out[i]))
			continue;
		out[i].index = only_one(sockets, objects, count, out, i, exactly);
		out[i].guessed = out[i].index >= 0 && !exactly;
		if (out[i].index >= 0)
			sockets->list[out[i].index].objects++;
	}
}

/* What the object was given, or, after others of before TLS, nothing since it wrote. */
static bool has_brought_no_more(const struct tlstall_socket *now, const struct ssl_object *object)
{
	return now->bytes_received == passed_object(object).in ||
	       (object->bytes_out && now->last_data_recv_ms > now->last_data_sent_ms);
}

/* It took all that OpenSSL wrote, all that it brought was read, and nothing waits in it. */
static bool is_idle(const struct process_socket *socket, const struct ssl_object *object)
{
	const struct tlstall_socket *now = &socket->now;

	return now->tcp_state == TCP_ESTABLISHED && !now->inq && !now->outq &&
	       has_brought_no_more(now, object) && now->bytes_acked >= object->bytes_out;
}

static void count_fitting(const struct process_sockets *sockets, const struct ssl_object *object,
			  bool exactly, struct joined_socket *out)
{
	uint64_t last = 0;
	bool fresh = false;

	for (unsigned i = 0; i < sockets->count; i++) {
		const struct process_socket *one = &sockets->list[i];

		/* they are sorted: a socket with several descriptors counts once */
		if (!fits(one, object, exactly) || one->inode == last)
			continue;
		last = one->inode;
		out->fitting++;
		out->idle += is_idle(one, object);
		out->unread += one->now.inq && one->now.last_data_recv_ms >= TLSTALL_UNREAD_MS;
		fresh |= one->now.inq != 0;
	}
	if (fresh)
		out->idle = 0;
}

void sockets_join(const struct process_sockets *sockets, const struct ssl_object *objects,
		  unsigned count, struct joined_socket *out)
{
	by_descriptor(sockets, objects, count, out);
	by_bytes(sockets, objects, count, out, true);
	by_bytes(sockets, objects, count, out, false);
	for (unsigned i = 0; i < count; i++) {
		if (!is_open(&objects[i], &out[i]))
			continue;
		count_fitting(sockets, &objects[i], true, &out[i]);
		if (!out[i].fitting)
			count_fitting(sockets, &objects[i], false, &out[i]);
	}
}
