/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer of the trace claims, between any two calls, that the handshakes use
 * another descriptor and a BIO of OpenSSL's own. The shim must not access that
 * descriptor or the program's BIO because of that.
 */
#include "../common.h"

#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tlstall/trace.h"

static struct tlstall_header *trace;
static int decoy[2], asked_descriptor, asked_bio;
static struct stat decoy_stat;

static void find_trace(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[5000];

	NEED(maps != NULL);
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, " rw-s ") && sscanf(line, "%lx-%lx", &from, &to) == 2 &&
		    ((struct tlstall_header *)from)->magic == TLSTALL_MAGIC)
			trace = (struct tlstall_header *)from;
	fclose(maps);
}

static void mislead(void)
{
	const struct tlstall_section *section;

	if (!trace)
		find_trace();
	if (!trace)
		return;
	section = &trace->section[TLSTALL_SECTION_HANDSHAKES];
	for (uint32_t i = 0; i < section->count; i++) {
		struct tlstall_handshake *slot =
			(void *)((char *)trace + section->offset + i * sizeof(*slot));

		slot->read.fd = slot->write.fd = decoy[0];
		slot->read.bio_class = slot->write.bio_class = TLSTALL_BIO_PAIR;
		slot->socket_inode = decoy_stat.st_ino;
	}
}

/* Replaces libc's, also for preloaded libraries. */
int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	asked_descriptor += fd == decoy[0];
	return (int)syscall(SYS_getsockopt, fd, level, name, value, size);
}

/* ---- a custom BIO -------------------------------------------------------------------- */

static int write_on(BIO *bio, const char *from, int size)
{
	int done = BIO_write(BIO_get_data(bio), from, size);

	BIO_clear_retry_flags(bio);
	if (done < 0)
		BIO_set_retry_write(bio);
	return done;
}

static int read_on(BIO *bio, char *to, int size)
{
	int done = BIO_read(BIO_get_data(bio), to, size);

	BIO_clear_retry_flags(bio);
	if (done < 0)
		BIO_set_retry_read(bio);
	return done;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
	asked_bio += command == BIO_CTRL_PENDING || command == BIO_CTRL_WPENDING;
	return BIO_ctrl(BIO_get_data(bio), command, number, pointer);
}

static int begin(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static void put_before(SSL *ssl, BIO_METHOD *method)
{
	BIO *bio = BIO_new(method), *inner = SSL_get_rbio(ssl);

	NEED(bio && inner && BIO_up_ref(inner));
	BIO_set_data(bio, inner);
	SSL_set_bio(ssl, bio, bio);
}

/* ---- handshakes ---------------------------------------------------------------------- */

static bool misled_to_the_end(struct pair *pair)
{
	bool client = false, server = false;

	for (int i = 0; i < 20 && !(client && server); i++) {
		client = step(pair->client) == SSL_ERROR_NONE;
		mislead();
		server = step(pair->server) == SSL_ERROR_NONE;
		mislead();
	}
	return client && server;
}

int main(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "own");
	struct pair pair;

	NEED(method && BIO_meth_set_write(method, write_on) && BIO_meth_set_read(method, read_on) &&
	     BIO_meth_set_ctrl(method, control) && BIO_meth_set_create(method, begin));
	tcp_sockets(decoy, true);
	NEED(!fstat(decoy[0], &decoy_stat));
	pair = bio_pair(0);
	put_before(pair.client, method);
	printf("own BIO %d\n", misled_to_the_end(&pair));
	printf("asked %d times\n", asked_bio);
	pair_free(&pair);
	pair = tcp_pair(true);
	printf("socket %d\n", misled_to_the_end(&pair));
	/* freed in the middle */
	SSL_clear(pair.client);
	SSL_clear(pair.server);
	step(pair.client);
	mislead();
	pair_free(&pair);
	printf("the other asked %d times\n", asked_descriptor);
	return 0;
}
