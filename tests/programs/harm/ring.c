/* SPDX-License-Identifier: Apache-2.0 */
/* A program whose bytes io_uring moves: OpenSSL sees only memory BIOs. Exits with 77 without io_uring. */
#include "../common.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define ENTRIES 4

static struct ring {
	int fd;
	struct io_uring_params params;
	char *submissions, *completions;
	struct io_uring_sqe *entries;
} ring;

static void *map(size_t size, off_t offset)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, offset);

	NEED(memory != MAP_FAILED);
	return memory;
}

static void open_ring(void)
{
	const struct io_uring_params *p = &ring.params;

	ring.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &ring.params);
	if (ring.fd < 0)
		exit(77);
	ring.submissions = map(p->sq_off.array + p->sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	ring.completions = map(p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	ring.entries = map(p->sq_entries * sizeof(*ring.entries), IORING_OFF_SQES);
}

static unsigned *at(char *memory, unsigned offset)
{
	return (unsigned *)(void *)(memory + offset);
}

/* One operation, and its result. */
static int perform(uint8_t operation, int fd, void *bytes, size_t size)
{
	const struct io_uring_params *p = &ring.params;
	unsigned *tail = at(ring.submissions, p->sq_off.tail), mask = *at(ring.submissions, p->sq_off.ring_mask);
	unsigned *head = at(ring.completions, p->cq_off.head), index = *tail & mask;
	struct io_uring_cqe *done = (struct io_uring_cqe *)(void *)(ring.completions + p->cq_off.cqes);

	ring.entries[index] = (struct io_uring_sqe){.opcode = operation, .fd = fd, .addr = (uintptr_t)bytes, .len = (unsigned)size};
	at(ring.submissions, p->sq_off.array)[index] = index;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	NEED(syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
	done += *head & *at(ring.completions, p->cq_off.ring_mask);
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return done->res;
}

static void send_all(SSL *ssl, int fd)
{
	char *bytes;
	long size = BIO_get_mem_data(SSL_get_wbio(ssl), &bytes);

	if (size > 0)
		NEED(perform(IORING_OP_SEND, fd, bytes, (size_t)size) == size);
	NEED(BIO_reset(SSL_get_wbio(ssl)) == 1);
}

/* One flight in, one out. */
static void answer(SSL *ssl, int fd)
{
	char bytes[16384];
	int size = perform(IORING_OP_RECV, fd, bytes, sizeof(bytes));

	NEED(size > 0 && BIO_write(SSL_get_rbio(ssl), bytes, size) == size);
	step(ssl);
	send_all(ssl, fd);
}

static void shake_hands(void)
{
	struct pair pair = bio_pair(0);
	int fds[2];

	NEED(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	set_role(&pair);
	SSL_set_bio(pair.client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_bio(pair.server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	/* in TLS 1.2 the flights of the two sides take turns */
	SSL_set_max_proto_version(pair.client, TLS1_2_VERSION);
	step(pair.client);
	send_all(pair.client, fds[0]);
	while (!SSL_is_init_finished(pair.client)) {
		answer(pair.server, fds[1]);
		answer(pair.client, fds[0]);
	}
	NEED(SSL_is_init_finished(pair.server));
	printf("%s %s\n", SSL_state_string_long(pair.client), SSL_state_string_long(pair.server));
	pair_free(&pair);
	close(fds[0]), close(fds[1]);
}

int main(void)
{
	open_ring();
	for (int i = 0; i < 3; i++)
		shake_hands();
	print_descriptors();
	return 0;
}
