/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses SSL objects in any order, right or wrong: any_order SEED STEPS. The seed decides what is
 * done, and nothing else may: the same seed prints the same. All lengths on the wire are fixed
 * (Ed25519, X25519, no tickets that hold a session), since a BIO pair shows them. What is random in
 * TLS, and the certificates' dates, follow from the seed, too: after garbage, OpenSSL reads parts of a
 * message as something else.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "by_seed.h"
#include "common.h"

#define SLOTS 3
#define SENTINEL 77 /* errno before each step */

static __thread struct slot {
	SSL *ssl[2];  /* client, server; NULL: freed */
	int fd[2];    /* -1: BIOs without a descriptor */
	BIO *wire[2]; /* memory BIOs: what each end has written; NULL: others */
} slots[SLOTS];

static __thread SSL_CTX *contexts[2];
static __thread SSL_SESSION *session; /* of some handshake; NULL: of none yet */
static __thread uint64_t random_state;
static __thread unsigned infos, messages;
static __thread unsigned finished; /* handshakes */
static __thread FILE *out;
static bool may_fork, may_begin_again;

static unsigned any(unsigned limit)
{
	return by_seed_next(&random_state) % limit;
}

/* ---- callbacks ---------------------------------------------------------------------- */

static void on_info(const SSL *ssl, int where, int ret)
{
	(void)ssl;
	infos = infos * 31 + (unsigned)where + (unsigned)ret;
}

static void on_info_too(const SSL *ssl, int where, int ret)
{
	on_info(ssl, where + 1, ret);
}

static void on_message(int write, int version, int type, const void *bytes, size_t size, SSL *ssl,
		       void *of)
{
	(void)bytes, (void)ssl, (void)of;
	messages = messages * 31 + (unsigned)(write + version + type) + (unsigned)size;
}

static int choose_version(SSL *ssl, int *alert, void *of)
{
	(void)ssl, (void)alert, (void)of;
	return any(8) ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_RETRY;
}

static int always(int ok, X509_STORE_CTX *store)
{
	(void)ok, (void)store;
	return 1;
}

/* ---- objects ------------------------------------------------------------------------- */

static void take_identity(SSL_CTX *ctx)
{
	EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);
	EVP_PKEY *key = NULL;
	X509 *x = X509_new();

	NEED(EVP_PKEY_keygen_init(maker) == 1 && EVP_PKEY_keygen(maker, &key) == 1);
	NEED(X509_set_version(x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1);
	NEED(ASN1_TIME_set_string(X509_getm_notBefore(x), "200101000000Z") == 1);
	NEED(ASN1_TIME_set_string(X509_getm_notAfter(x), "491231235959Z") == 1);
	NEED(X509_set_pubkey(x, key) == 1 && X509_sign(x, key, NULL) > 0);
	NEED(SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1);
	X509_free(x);
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(maker);
}

static void make_contexts(void)
{
	contexts[0] = SSL_CTX_new(TLS_client_method());
	contexts[1] = SSL_CTX_new(TLS_server_method());
	for (int i = 0; i < 2; i++) {
		NEED(contexts[i]);
		NEED(SSL_CTX_set1_groups_list(contexts[i], "X25519") == 1);
		SSL_CTX_set_options(contexts[i], SSL_OP_NO_TICKET);
	}
	SSL_CTX_set_post_handshake_auth(contexts[0], 1);
	NEED(SSL_CTX_set_max_early_data(contexts[1], 1000) == 1);
	NEED(SSL_CTX_set_session_id_context(contexts[1], (const unsigned char *)"any", 3) == 1);
	take_identity(contexts[1]);
	take_identity(contexts[0]);
}

static void on_sockets(struct slot *slot)
{
	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, slot->fd) == 0);
	for (int i = 0; i < 2; i++)
		NEED(SSL_set_fd(slot->ssl[i], slot->fd[i]) == 1);
}

static void on_bio_pair(struct slot *slot)
{
	size_t size = any(2) ? 0 : 50 + any(2000);
	BIO *bio[2];

	NEED(BIO_new_bio_pair(&bio[0], size, &bio[1], size) == 1);
	for (int i = 0; i < 2; i++)
		SSL_set_bio(slot->ssl[i], bio[i], bio[i]);
}

static void on_memory(struct slot *slot)
{
	for (int i = 0; i < 2; i++)
		NEED((slot->wire[i] = BIO_new(BIO_s_mem())) &&
		     BIO_set_mem_eof_return(slot->wire[i], -1) == 1);
	for (int i = 0; i < 2; i++) {
		NEED(BIO_up_ref(slot->wire[0]) == 1 && BIO_up_ref(slot->wire[1]) == 1);
		SSL_set_bio(slot->ssl[i], slot->wire[!i], slot->wire[i]);
	}
}

static void free_end(struct slot *slot, int i)
{
	SSL_free(slot->ssl[i]);
	BIO_free(slot->wire[i]);
	if (slot->fd[i] >= 0)
		close(slot->fd[i]);
	slot->ssl[i] = NULL;
	slot->wire[i] = NULL;
	slot->fd[i] = -1;
}

static void make_slot(struct slot *slot)
{
	static void (*const transports[])(struct slot *) = {on_sockets, on_bio_pair, on_memory};

	for (int i = 0; i < 2; i++) {
		free_end(slot, i);
		NEED(slot->ssl[i] = SSL_new(contexts[i]));
	}
	transports[any(3)](slot);
	if (!any(3))
		SSL_set_max_proto_version(slot->ssl[any(2)], TLS1_2_VERSION);
	if (!any(4))
		SSL_set_verify(slot->ssl[1], SSL_VERIFY_PEER, always);
	if (any(4))
		SSL_set_connect_state(slot->ssl[0]);
	if (any(4))
		SSL_set_accept_state(slot->ssl[1]);
}

/* ---- calls that SSL_get_error follows ---------------------------------------------------- */

static __thread char bytes[20000];

static int read_some(SSL *ssl)
{
	return SSL_read(ssl, bytes, any(2) ? (int)sizeof(bytes) : 10);
}

static int read_some_ex(SSL *ssl)
{
	size_t got = 0;
	int ret = SSL_read_ex(ssl, bytes, 1 + any(100), &got);

	return ret ? (int)got : 0;
}

static int peek_some(SSL *ssl)
{
	return SSL_peek(ssl, bytes, 1 + (int)any(100));
}

static int write_some(SSL *ssl)
{
	return SSL_write(ssl, bytes, any(3) ? 10 : (int)sizeof(bytes));
}

static int write_some_ex(SSL *ssl)
{
	size_t put = 0;
	int ret = SSL_write_ex(ssl, bytes, 1 + any(3000), &put);

	return ret ? (int)put : 0;
}

static int write_early(SSL *ssl)
{
	size_t put = 0;

	return SSL_write_early_data(ssl, bytes, 1 + any(100), &put);
}

static int read_early(SSL *ssl)
{
	size_t got = 0;

	return SSL_read_early_data(ssl, bytes, 1 + any(100), &got);
}

static int renegotiate(SSL *ssl)
{
	return SSL_renegotiate(ssl) == 1 ? SSL_do_handshake(ssl) : -1;
}

static int update_key(SSL *ssl)
{
	return SSL_key_update(ssl, (int)any(2)) == 1 ? SSL_do_handshake(ssl) : -1;
}

/* Through a BIO: no SSL_* function is called by the program. */
static int through_bio(SSL *ssl)
{
	BIO *bio = BIO_new(BIO_f_ssl());
	int ret;

	NEED(bio && BIO_set_ssl(bio, ssl, BIO_NOCLOSE) == 1);
	ret = any(2)   ? (int)BIO_do_handshake(bio)
	      : any(2) ? BIO_read(bio, bytes, 10)
		       : BIO_write(bio, bytes, 10);
	ret = ret * 2 + BIO_should_retry(bio);
	BIO_free(bio);
	return ret;
}

static const struct {
	const char *name;
	int (*call)(SSL *ssl);
	unsigned weight;
	bool again; /* begins another handshake, on an object that has ended one */
} calls[] = {
	{"connect", SSL_connect, 6, false},
	{"accept", SSL_accept, 6, false},
	{"do_handshake", SSL_do_handshake, 30, false},
	{"read", read_some, 8, false},
	{"read_ex", read_some_ex, 4, false},
	{"peek", peek_some, 2, false},
	{"write", write_some, 8, false},
	{"write_ex", write_some_ex, 4, false},
	{"shutdown", SSL_shutdown, 4, false},
	{"write_early", write_early, 2, false},
	{"read_early", read_early, 2, false},
	{"renegotiate", renegotiate, 2, true},
	{"update_key", update_key, 2, true},
	{"verify_later", SSL_verify_client_post_handshake, 1, true},
	{"through_bio", through_bio, 4, false},
};
#define CALLS (sizeof(calls) / sizeof(*calls))

static unsigned weight_of(size_t which)
{
	return calls[which].again && !may_begin_again ? 0 : calls[which].weight;
}

/* An index, by weight. */
static size_t any_call(void)
{
	unsigned total = 0, chosen;
	size_t i = 0;

	for (size_t at = 0; at < CALLS; at++)
		total += weight_of(at);
	for (chosen = any(total); chosen >= weight_of(i); i++)
		chosen -= weight_of(i);
	return i;
}

static void print_after(SSL *ssl)
{
	fprintf(out,
		" errno %d queue %d state %d %s want %d shutdown %d reused %d infos %u messages "
		"%u\n",
		errno, ERR_GET_REASON(ERR_peek_last_error()), SSL_get_state(ssl),
		SSL_get_version(ssl), SSL_want(ssl), SSL_get_shutdown(ssl), SSL_session_reused(ssl),
		infos, messages);
}

static void call(SSL *ssl)
{
	size_t which = any_call();
	bool was_done = SSL_is_init_finished(ssl);
	int ret;

	if (any(8))
		ERR_clear_error();
	errno = SENTINEL;
	ret = calls[which].call(ssl);
	finished += !was_done && SSL_is_init_finished(ssl);
	fprintf(out, "%s %d", calls[which].name, ret);
	for (unsigned times = any(8) ? 1 : any(3); times; times--)
		fprintf(out, " %s",
			error_name(SSL_get_error(ssl, any(16) ? ret : (int)any(3) - 1)));
	print_after(ssl);
}

/* ---- what else programs do to them ------------------------------------------------------- */

static void clear(struct slot *slot, int i)
{
	fprintf(out, "clear %d\n", SSL_clear(slot->ssl[i]));
}

static void duplicate(struct slot *slot, int i)
{
	SSL *copy = SSL_dup(slot->ssl[i]);

	fprintf(out, "dup %d\n", copy != NULL);
	if (copy && SSL_get_rbio(copy) && any(2)) { /* the copy goes on */
		SSL_free(slot->ssl[i]);
		slot->ssl[i] = copy;
	} else {
		SSL_free(copy);
	}
}

static void set_state(struct slot *slot, int i)
{
	any(2) ? SSL_set_connect_state(slot->ssl[i]) : SSL_set_accept_state(slot->ssl[i]);
}

static void set_info(struct slot *slot, int i)
{
	static void (*const callbacks[])(const SSL *, int, int) = {NULL, on_info, on_info_too};
	void (*before)(const SSL *, int, int) = SSL_get_info_callback(slot->ssl[i]);
	int was = 0;

	while (was < 3 && callbacks[was] != before)
		was++;
	fprintf(out, "info callback was %d\n", was);
	SSL_set_info_callback(slot->ssl[i], callbacks[any(3)]);
}

static void set_messages(struct slot *slot, int i)
{
	SSL_set_msg_callback(slot->ssl[i], any(2) ? on_message : NULL);
}

static void set_contexts(struct slot *slot, int i)
{
	(void)slot;
	SSL_CTX_set_info_callback(contexts[i], any(2) ? on_info : NULL);
	SSL_CTX_set_msg_callback(contexts[i], any(2) ? on_message : NULL);
	SSL_CTX_set_client_hello_cb(contexts[1], any(2) ? choose_version : NULL, NULL);
	SSL_CTX_set_quiet_shutdown(contexts[i], !any(4));
}

static void keep_session(struct slot *slot, int i)
{
	SSL_SESSION_free(session);
	session = SSL_get1_session(slot->ssl[i]);
	fprintf(out, "session %d\n", session && SSL_SESSION_is_resumable(session));
}

static void use_session(struct slot *slot, int i)
{
	(void)i;
	if (session && slot->ssl[0] && SSL_in_before(slot->ssl[0]))
		fprintf(out, "resume %d\n", SSL_set_session(slot->ssl[0], session));
}

static void set_mode(struct slot *slot, int i)
{
	fprintf(out, "mode %ld\n",
		SSL_set_mode(slot->ssl[i], any(2) ? SSL_MODE_ENABLE_PARTIAL_WRITE
						  : SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER));
}

static void spoil(struct slot *slot, int i)
{
	if (slot->fd[i] >= 0)
		fprintf(out, "spoil %zd\n", write(slot->fd[i], bytes, 5));
	else if (slot->wire[i])
		fprintf(out, "spoil %d\n", BIO_write(slot->wire[i], bytes, 5));
}

static void hang_up(struct slot *slot, int i)
{
	if (slot->fd[i] >= 0)
		fprintf(out, "hang up %d\n", shutdown(slot->fd[i], (int)any(3)));
}

static void buffer_output(struct slot *slot, int i)
{
	BIO *wire = SSL_get_wbio(slot->ssl[i]), *buffer;

	if (!wire || !SSL_in_before(slot->ssl[i]))
		return;
	NEED(buffer = BIO_new(BIO_f_buffer()));
	NEED(BIO_up_ref(wire) == 1);
	SSL_set0_wbio(slot->ssl[i], BIO_push(buffer, wire));
}

static void let_go(struct slot *slot, int i)
{
	free_end(slot, i);
}

static void swap_sockets(struct slot *slot, int i)
{
	struct slot *other = &slots[any(SLOTS)];
	int fd = slot->fd[i];

	if (fd < 0 || other->fd[i] < 0)
		return;
	slot->fd[i] = other->fd[i];
	other->fd[i] = fd;
	fprintf(out, "swap %d\n", other->ssl[i] ? SSL_set_fd(other->ssl[i], fd) : -1);
	fprintf(out, "swap %d\n", SSL_set_fd(slot->ssl[i], slot->fd[i]));
}

static void steps(unsigned count);

/* The child goes on with the same objects, and the parent after it. */
static void part(struct slot *slot, int i)
{
	int status;
	pid_t child;

	(void)slot, (void)i;
	if (!may_fork)
		return;
	fflush(out);
	child = fork();
	NEED(child >= 0);
	if (!child) {
		random_state += 2;
		finished = 0;
		steps(any(20));
		fprintf(out, "finished %u\n", finished);
		fflush(out);
		if (any(2))
			exit(3);
		_exit(3);
	}
	NEED(waitpid(child, &status, 0) == child);
	fprintf(out, "child %#x\n", status);
}

static void (*const changes[])(struct slot *slot, int i) = {
	clear,	      duplicate,    set_state,	   set_info,	set_info,     set_messages,
	set_contexts, keep_session, keep_session,  use_session, use_session,  set_mode,
	spoil,	      hang_up,	    buffer_output, let_go,	swap_sockets, part,
};
#define CHANGES (sizeof(changes) / sizeof(*changes))

static void steps(unsigned count)
{
	while (count--) {
		unsigned number = any(SLOTS);
		struct slot *slot = &slots[number];
		int i = (int)any(2);

		fprintf(out, "%u%c ", number, i ? 's' : 'c');
		if (!slot->ssl[i] || !any(100)) {
			make_slot(slot);
			fprintf(out, "new\n");
		} else if (any(8)) {
			call(slot->ssl[i]);
		} else {
			changes[any(CHANGES)](slot, i);
			fprintf(out, "\n");
		}
	}
}

/* ---- threads ---------------------------------------------------------------------------- */

struct plan {
	pthread_t thread;
	uint64_t seed;
	unsigned steps;
	char *said;
	size_t length;
};

static void *work(void *argument)
{
	struct plan *plan = argument;

	if (!out)
		NEED(out = open_memstream(&plan->said, &plan->length));
	random_state = plan->seed * 0x9e3779b97f4a7c15u | 1;
	by_seed_state = ~random_state | 1;
	make_contexts();
	for (int i = 0; i < SLOTS; i++)
		slots[i] = (struct slot){.fd = {-1, -1}};
	steps(plan->steps);
	for (int i = 0; i < SLOTS; i++) {
		free_end(&slots[i], 0);
		free_end(&slots[i], 1);
	}
	SSL_SESSION_free(session);
	SSL_CTX_free(contexts[0]);
	SSL_CTX_free(contexts[1]);
	fprintf(out, "finished %u\ninfos %u messages %u\n", finished, infos, messages);
	if (out != stdout)
		fclose(out);
	return NULL;
}

static void in_threads(struct plan *plans, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		NEED(pthread_create(&plans[i].thread, NULL, work, &plans[i]) == 0);
	for (unsigned i = 0; i < count; i++) {
		NEED(pthread_join(plans[i].thread, NULL) == 0);
		fputs(plans[i].said, stdout);
		free(plans[i].said);
	}
}

int main(int argc, char **argv)
{
	struct plan plans[16] = {0};
	unsigned threads;

	NEED(argc == 4);
	threads = (unsigned)atoi(argv[3]);
	NEED(threads && threads <= sizeof(plans) / sizeof(*plans));
	for (unsigned i = 0; i < threads; i++) {
		plans[i].seed = strtoull(argv[1], NULL, 0) * 1000 + i;
		plans[i].steps = (unsigned)atoi(argv[2]);
	}
	signal(SIGPIPE, SIG_IGN);
	NEED(RAND_set_rand_method(&by_seed) == 1);
	may_fork = threads == 1;
	may_begin_again = strtoull(argv[1], NULL, 0) % 2;
	if (threads > 1) {
		in_threads(plans, threads);
	} else {
		out = stdout;
		work(plans);
	}
	return 0;
}
