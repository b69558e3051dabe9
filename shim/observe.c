/* SPDX-License-Identifier: Apache-2.0 */
#include "observe.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "ask.h"
#include "certificates.h"
#include "clock.h"
#include "mapping.h"
#include "recorder.h"
#include "settings.h"
#include "system.h"
#include "tlstall/vocabulary.h"

#define SAME(name) TLSTALL_ASSERT(TLSTALL_ERROR_##name == SSL_ERROR_##name)
SAME(NONE);
SAME(SSL);
SAME(WANT_READ);
SAME(WANT_WRITE);
SAME(WANT_X509_LOOKUP);
SAME(SYSCALL);
SAME(ZERO_RETURN);
SAME(WANT_CONNECT);
SAME(WANT_ACCEPT);
SAME(WANT_ASYNC);
SAME(WANT_ASYNC_JOB);
SAME(WANT_CLIENT_HELLO_CB);
#ifdef SSL_ERROR_WANT_RETRY_VERIFY
SAME(WANT_RETRY_VERIFY);
#endif
#undef SAME

uint8_t observe_new_state(const struct libssl *lib, const SSL *ssl, unsigned state)
{
	uint8_t id = recorder_state(lib->SSL_state_string_long(ssl));

	if (state < sizeof(lib->state_ids))
		__atomic_store_n(&((struct libssl *)lib)->state_ids[state], id, __ATOMIC_RELAXED);
	return id;
}

/* Id, copy and string id of the last group, in one word for all threads: few are in use. */
static uint64_t known_group;

void observe_forget(const struct libssl *lib)
{
	for (size_t i = 0; i < sizeof(lib->state_ids); i++)
		__atomic_store_n(&((struct libssl *)lib)->state_ids[i], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&known_group, 0, __ATOMIC_RELAXED);
}

/* ---- BIOs ------------------------------------------------------------------ */

typedef const BIO_METHOD *method_function(void);

/*
 * Programs give the built-in types to methods of their own (curl's is a BIO_TYPE_MEM), and some
 * the built-in names, too: only the method itself is certain, if this copy has a function that
 * returns it. The last rows are methods of programs that use OpenSSL's control function for
 * sockets, and are known by name.
 */
static const struct {
	int type; /* 0: any */
	uint16_t method; /* of struct libssl: what returns it; 0: by name */
	char name[28];
	enum tlstall_bio_class bio_class;
} built_in[] = {
#define METHOD(function) offsetof(struct libssl, function)
	{BIO_TYPE_SOCKET, METHOD(BIO_s_socket), "socket", TLSTALL_BIO_SOCKET},
	{BIO_TYPE_CONNECT, METHOD(BIO_s_connect), "socket connect", TLSTALL_BIO_SOCKET},
	{BIO_TYPE_DGRAM, METHOD(BIO_s_datagram), "datagram socket", TLSTALL_BIO_DATAGRAM},
	{BIO_TYPE_FD, METHOD(BIO_s_fd), "file descriptor", TLSTALL_BIO_FD},
	{BIO_TYPE_MEM, METHOD(BIO_s_mem), "memory buffer", TLSTALL_BIO_MEMORY},
	{BIO_TYPE_MEM, METHOD(BIO_s_secmem), "secure memory buffer", TLSTALL_BIO_MEMORY},
	{BIO_TYPE_BIO, METHOD(BIO_s_bio), "BIO pair", TLSTALL_BIO_PAIR},
	{0, 0, "libpq socket", TLSTALL_BIO_SOCKET},
	{0, 0, "PostgreSQL backend socket", TLSTALL_BIO_SOCKET},
#undef METHOD
};

static const void *method_of(const struct libssl *lib, size_t row)
{
	const void **place = &((struct libssl *)lib)->methods[row];
	const void *known = __atomic_load_n(place, __ATOMIC_RELAXED);
	method_function *function;

	if (known)
		return known;
	memcpy(&function, (const char *)lib + built_in[row].method, sizeof(function));
	known = function ? function() : NULL;
	__atomic_store_n(place, known, __ATOMIC_RELAXED);
	return known;
}

/* A BIO begins with its method, since 3.0 after its library context. */
static bool has_method(const struct libssl *lib, const BIO *bio, size_t row)
{
	const void *known = built_in[row].method ? method_of(lib, row) : NULL;
	const void *const *words = (const void *)bio;

	return !known || words[0] == known || words[1] == known;
}

static enum tlstall_bio_class classify(const struct libssl *lib, const BIO *bio, int type,
				       const char *name)
{
	for (size_t i = 0; name && i < sizeof(built_in) / sizeof(built_in[0]); i++) {
		if ((!built_in[i].type || built_in[i].type == type) &&
		    !strcmp(built_in[i].name, name) && has_method(lib, bio, i))
			return built_in[i].bio_class;
	}
	return TLSTALL_BIO_CUSTOM;
}

/* A control call would invoke the program's callback, if it has set one. */
static inline bool has_callback(const struct libssl *lib, BIO *bio)
{
	return (lib->BIO_get_callback && lib->BIO_get_callback(bio)) ||
	       (lib->BIO_get_callback_ex && lib->BIO_get_callback_ex(bio));
}

static int descriptor(const struct libssl *lib, BIO *bio, const struct tlstall_transport *t)
{
	int fd = -1;

	if (!tlstall_has_descriptor(t))
		return -1;
	if (has_callback(lib, bio) || lib->BIO_ctrl(bio, BIO_C_GET_FD, 0, &fd) <= 0)
		return -1;
	return fd;
}

/* Chains are short: a longer one than this is a loop. */
#define CHAIN 16

static BIO *end_of(const struct libssl *lib, BIO *bio)
{
	BIO *next;

	for (int i = 0; i < CHAIN && bio && (next = lib->BIO_next(bio)); i++)
		bio = next;
	return bio;
}

static void describe(const struct libssl *lib, BIO *top, BIO *end, struct tlstall_transport *out)
{
	const char *name;

	*out = (struct tlstall_transport){.fd = -1, .blocking = 2};
	if (!top)
		return;
	name = lib->BIO_method_name(end);
	out->type = lib->BIO_method_type(end);
	out->bio_class = (uint8_t)classify(lib, end, out->type, name);
	out->name = recorder_string(name);
	out->filter = end != top ? recorder_string(lib->BIO_method_name(top)) : 0;
	out->fd = descriptor(lib, end, out);
}

static uint64_t bytes_read(const struct track *track)
{
	return track->rbio ? track->lib->BIO_number_read(track->rbio) : 0;
}

static uint64_t bytes_written(const struct track *track)
{
	return track->wbio ? track->lib->BIO_number_written(track->wbio) : 0;
}

/* New BIOs: their counters continue those of the old ones. */
static void take_bios(struct track *track, const SSL *ssl, struct tlstall_handshake *h)
{
	const struct libssl *lib = track->lib;

	track->rbio = lib->SSL_get_rbio(ssl);
	track->wbio = lib->SSL_get_wbio(ssl);
	track->read_end = end_of(lib, track->rbio);
	track->write_end = end_of(lib, track->wbio);
	track->base_in = bytes_read(track) - h->bytes_in;
	track->base_out = bytes_written(track) - h->bytes_out;
	describe(lib, track->rbio, track->read_end, &track->read);
	track->write = track->read;
	if (track->wbio != track->rbio)
		describe(lib, track->wbio, track->write_end, &track->write);
	track->socket_inode = 0;
	h->read = track->read;
	h->write = track->write;
	if (!(h->flags & TLSTALL_HS_COMPACT))
		observe_descriptor(track, h);
}

static bool same_bios(const struct track *track, const SSL *ssl)
{
	const struct libssl *lib = track->lib;
	BIO *rbio = lib->SSL_get_rbio(ssl), *wbio = lib->SSL_get_wbio(ssl);

	return rbio == track->rbio && wbio == track->wbio && end_of(lib, rbio) == track->read_end &&
	       (rbio == wbio || end_of(lib, wbio) == track->write_end);
}

bool observe_transport(struct track *track, const SSL *ssl, struct tlstall_handshake *h,
		       uint64_t *in, uint64_t *out)
{
	if (same_bios(track, ssl)) {
		*in = bytes_read(track) - track->base_in;
		*out = bytes_written(track) - track->base_out;
		/* a counter that runs backwards is a new BIO at an old one's address */
		if ((int64_t)(*in - h->bytes_in) >= 0 && (int64_t)(*out - h->bytes_out) >= 0)
			return false;
	}
	take_bios(track, ssl, h);
	*in = h->bytes_in;
	*out = h->bytes_out;
	return true;
}

static bool may_be_asked(const struct libssl *lib, const struct tlstall_transport *t, BIO *end)
{
	return tlstall_is_in_memory(t) && end && !has_callback(lib, end);
}

void observe_pending(const struct track *track, struct handshake_leave *in)
{
	const struct libssl *lib = track->lib;
	/* the op has just read everything */
	bool drained = in->error == TLSTALL_ERROR_WANT_READ && track->rbio == track->read_end;
	int out = track->write.bio_class == TLSTALL_BIO_PAIR ? BIO_CTRL_WPENDING : BIO_CTRL_PENDING;

	if (drained && tlstall_is_in_memory(&track->read))
		in->pending_in = 0;
	else if (may_be_asked(lib, &track->read, track->read_end))
		in->pending_in = (uint32_t)lib->BIO_ctrl(track->read_end, BIO_CTRL_PENDING, 0, NULL);
	if (may_be_asked(lib, &track->write, track->write_end))
		in->pending_out = (uint32_t)lib->BIO_ctrl(track->write_end, out, 0, NULL);
}

/* ---- the kernel ------------------------------------------------------------ */

typedef int get_name(int fd, struct sockaddr *address, socklen_t *size);

/*
 * After a reset getpeername() fails. SO_PEERNAME works, if it is asked for
 * no more bytes than the address has.
 */
static int name_of_former_peer(int fd, struct sockaddr *address, socklen_t *size)
{
	*size = sizeof(struct sockaddr_in);
	if (system_getsockopt(fd, SOL_SOCKET, SO_PEERNAME, address, size) ||
	    address->sa_family != AF_INET6)
		return address->sa_family == AF_INET ? 0 : -1;
	*size = sizeof(struct sockaddr_in6);
	return system_getsockopt(fd, SOL_SOCKET, SO_PEERNAME, address, size);
}

static bool read_address(get_name *get, int fd, struct tlstall_address *out)
{
	struct sockaddr_storage storage = {0};
	const struct sockaddr_in *v4 = (const void *)&storage;
	const struct sockaddr_in6 *v6 = (const void *)&storage;
	socklen_t size = sizeof(storage);

	/* if that fails, the known address stays */
	if (get(fd, (struct sockaddr *)&storage, &size) || size < sizeof(storage.ss_family))
		return false;
	*out = (struct tlstall_address){0};
	out->family = storage.ss_family;
	if (storage.ss_family == AF_INET) {
		out->port = ntohs(v4->sin_port);
		memcpy(out->addr, &v4->sin_addr, 4);
	} else if (storage.ss_family == AF_INET6) {
		out->port = ntohs(v6->sin6_port);
		memcpy(out->addr, &v6->sin6_addr, 16);
	}
	return true;
}

static uint64_t inode(int fd)
{
	struct statx st;

	/* never queries the server of a remote file system */
	return system_statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &st) ? 0 : st.stx_ino;
}

/* A socket that was not connected at first has addresses only later. */
static void look_at_addresses(int fd, struct tlstall_handshake *h)
{
	if (!(settings.privacy & TLSTALL_PRIVACY_PEER) &&
	    !read_address(system_getpeername, fd, &h->peer))
		read_address(name_of_former_peer, fd, &h->peer);
	read_address(system_getsockname, fd, &h->local);
}

void observe_descriptor(struct track *track, struct tlstall_handshake *h)
{
	int fd = track->read.fd, flags;

	if (fd < 0 || !ask_may())
		return;
	flags = system_get_flags(fd);
	if (flags >= 0)
		h->read.blocking = !(flags & O_NONBLOCK);
	if (track->write.fd == fd)
		h->write.blocking = h->read.blocking;
	h->socket_inode = track->socket_inode = inode(fd);
	look_at_addresses(fd, h);
}

static void copy_tcp_info(const struct tcp_info *info, struct tlstall_socket *out)
{
	out->bytes_acked = info->tcpi_bytes_acked;
	out->bytes_received = info->tcpi_bytes_received;
	out->unacked = info->tcpi_unacked;
	out->total_retrans = info->tcpi_total_retrans;
	out->rtt_us = info->tcpi_rtt;
	out->rto_us = info->tcpi_rto;
	out->snd_mss = info->tcpi_snd_mss;
	out->last_data_sent_ms = info->tcpi_last_data_sent;
	out->last_data_recv_ms = info->tcpi_last_data_recv;
	out->last_ack_recv_ms = info->tcpi_last_ack_recv;
	out->tcp_state = info->tcpi_state;
	out->retransmits = info->tcpi_retransmits;
	out->backoff = info->tcpi_backoff;
	out->ca_state = info->tcpi_ca_state;
	out->data_segs_in = info->tcpi_data_segs_in;
}

static bool is_still_it(const struct track *track)
{
	return track->socket_inode && inode(track->read.fd) == track->socket_inode;
}

static void read_queues(int fd, struct tlstall_socket *out)
{
	int bytes;

	if (!system_ioctl(fd, SIOCINQ, &bytes))
		out->inq = (uint32_t)bytes;
	if (!system_ioctl(fd, SIOCOUTQ, &bytes))
		out->outq = (uint32_t)bytes;
}

static bool has_carried(const struct tcp_info *info)
{
	return info->tcpi_bytes_received || info->tcpi_unacked || info->tcpi_notsent_bytes;
}

static bool ask_socket(const struct track *track, struct tlstall_handshake *h, bool later,
		       struct tlstall_socket *out)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);
	int fd = track->read.fd;

	if (later && !is_still_it(track))
		return false;
	*out = (struct tlstall_socket){.inq = UINT32_MAX, .outq = UINT32_MAX};
	if (!system_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		copy_tcp_info(&info, out);
	/* data that a client has not read when it begins TLS is no answer to its ClientHello */
	if (later || (h->role == TLSTALL_ROLE_CLIENT && has_carried(&info)))
		read_queues(fd, out);
	if (!h->peer.family && !(h->flags & TLSTALL_HS_COMPACT))
		look_at_addresses(fd, h);
	out->ticks = clock_ticks();
	return true;
}

bool observe_socket(const struct track *track, struct tlstall_handshake *h, bool later,
		    struct tlstall_socket *out)
{
	return track->read.fd >= 0 && control->socket && ask_may() &&
	       ask_socket(track, h, later, out);
}

void observe_backwards(const struct track *track, struct tlstall_handshake *h, uint64_t in,
		       uint64_t out)
{
	struct tlstall_socket *start = &h->at_start;

	if (start->ticks)
		return;
	if (!observe_socket(track, h, true, start) || !start->tcp_state || start->inq == UINT32_MAX ||
	    start->outq == UINT32_MAX) {
		start->ticks = 0;
		return;
	}
	start->bytes_received -= start->inq + in;
	start->bytes_acked -= out - start->outq;
	/* keeps what was also true at the start */
	*start = (struct tlstall_socket){
		.ticks = h->start,
		.bytes_acked = start->bytes_acked,
		.bytes_received = start->bytes_received,
		.inq = UINT32_MAX,
		.outq = UINT32_MAX,
		.rtt_us = start->rtt_us,
		.rto_us = start->rto_us,
		.snd_mss = start->snd_mss,
		.tcp_state = start->tcp_state,
		.total_retrans = start->total_retrans,
	};
}

void observe_left_behind(const struct track *track, struct tlstall_handshake *h)
{
	if (!observe_socket(track, h, true, &h->at_end))
		h->at_end.ticks = 0;
}

/* ---- the session ------------------------------------------------------------ */

/*
 * An object that has ended a handshake may be without a session: SSL_clear, when it fails, and
 * SSL_set_session take it away. Functions that read the session's fields do not check for that.
 */
static bool has_session(const struct libssl *lib, const SSL *ssl)
{
	return lib->SSL_get_session && lib->SSL_get_session(ssl);
}

static void observe_sni(const struct libssl *lib, const SSL *ssl, struct tlstall_handshake *h)
{
	const char *sni;

	/* libssl reads a name from the session if that was resumed */
	if ((settings.privacy & TLSTALL_PRIVACY_SNI) ||
	    (lib->SSL_session_reused(ssl) && !has_session(lib, ssl)))
		return;
	sni = lib->SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	if (sni)
		memcpy(h->sni, sni, strnlen(sni, sizeof(h->sni)));
}

/* With a custom BIO, only the version distinguishes datagrams from a stream. */
static void note_datagrams(const struct libssl *lib, const SSL *ssl, struct tlstall_handshake *h)
{
	uint16_t version;

	if (tlstall_has_descriptor(&h->read))
		return;
	version = (uint16_t)lib->SSL_version(ssl);
	if (version >> 8 == DTLS1_VERSION_MAJOR)
		h->version = version;
}

void observe_start(struct track *track, const SSL *ssl, struct tlstall_handshake *h)
{
	const struct libssl *lib = track->lib;

	if (!ask_may())
		mapping.header->filtered = 1;
	if (h->role == TLSTALL_ROLE_UNKNOWN)
		h->role = lib->SSL_is_server(ssl) ? TLSTALL_ROLE_SERVER : TLSTALL_ROLE_CLIENT;
	if (h->role == TLSTALL_ROLE_CLIENT)
		observe_sni(lib, ssl, h);
	if (lib->SSL_is_quic && lib->SSL_is_quic(ssl))
		h->flags |= TLSTALL_HS_QUIC;
	take_bios(track, ssl, h);
	note_datagrams(lib, ssl, h);
}

static void observe_alpn(const struct libssl *lib, const SSL *ssl, struct tlstall_handshake *h)
{
	const unsigned char *protocol = NULL;
	unsigned length = 0;

	lib->SSL_get0_alpn_selected(ssl, &protocol, &length);
	if (length > sizeof(h->alpn))
		length = sizeof(h->alpn);
	if (protocol)
		memcpy(h->alpn, protocol, length);
}

static uint16_t name_of_group(const struct libssl *lib, const SSL *ssl, uint32_t id)
{
	uint64_t key = (uint64_t)id << 32 | (uint64_t)lib->id << 16;
	uint64_t last = __atomic_load_n(&known_group, __ATOMIC_RELAXED);
	uint16_t name = (uint16_t)last;

	if (name && (last ^ key) >> 16 == 0)
		return name;
	name = recorder_string(lib->SSL_group_to_name((SSL *)ssl, (int)id));
	__atomic_store_n(&known_group, key | name, __ATOMIC_RELAXED);
	return name;
}

/* SSL_get_negotiated_group(), in 3.0 and later, if the library has names for groups. */
static uint16_t observe_group(const struct libssl *lib, const SSL *ssl)
{
	long id;

	if (!lib->SSL_group_to_name || !has_session(lib, ssl))
		return 0;
	id = lib->real.SSL_ctrl((SSL *)ssl, SSL_CTRL_GET_NEGOTIATED_GROUP, 0, NULL);
	return id > 0 ? name_of_group(lib, ssl, (uint32_t)id) : 0;
}

static void observe_session(const struct libssl *lib, const SSL *ssl, struct tlstall_handshake *h)
{
	const SSL_CIPHER *cipher = lib->SSL_get_current_cipher(ssl);

	if (cipher)
		h->cipher = recorder_string(lib->SSL_CIPHER_get_name(cipher));
	h->group = observe_group(lib, ssl);
	observe_alpn(lib, ssl, h);
	if (lib->SSL_session_reused(ssl))
		h->flags |= TLSTALL_HS_RESUMED;
}

void observe_end(const struct track *track, const SSL *ssl, struct tlstall_handshake *h)
{
	const struct libssl *lib = track->lib;

	if ((h->flags & TLSTALL_HS_COMPACT) ||
	    !observe_socket(track, h, h->outcome != TLSTALL_OUTCOME_OK, &h->at_end))
		h->at_end.ticks = 0;
	h->version = (uint16_t)lib->SSL_version(ssl);
	h->verify_result = (int32_t)lib->SSL_get_verify_result(ssl);
	if (lib->SSL_get_peer_cert_chain && lib->SSL_get_peer_cert_chain(ssl))
		h->flags |= TLSTALL_HS_PEER_CERT;
	if (!h->sni[0])
		observe_sni(lib, ssl, h);
	if (!(h->flags & TLSTALL_HS_COMPACT))
		certificates_observe(lib, ssl, h);
	if (h->outcome == TLSTALL_OUTCOME_OK)
		observe_session(lib, ssl, h);
}
