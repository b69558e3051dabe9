/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes that failed because the two sides have incompatible settings. */
#include <string.h>

#include "judge.h"
#include "diagnosis/reasons.h"
#include "words/words.h"

#define ALERT_HANDSHAKE_FAILURE 40
#define ALERT_INTERNAL_ERROR 80

#define SSL3 0x0300
#define TLS1_2 0x0303
#define TLS1_3 0x0304

static void say_refusal(const struct facts *f, struct verdict *v)
{
	if (f->reason && *f->reason)
		say(v, "OpenSSL's reason: \"%s\", after %s", f->reason, span(f->age_ns).s);
	say(v, "%s had been read and %s written", size(f->bytes_in).s, size(f->bytes_out).s);
	say_alerts(f, v);
	say_neighbors(f, v);
}

void tell_refusal(const struct facts *f, const struct refusal *r, struct verdict *v)
{
	v->cost_ns = f->age_ns;
	v->confidence = r->meaning.weight == SAYS ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
	if (r->meaning.advice)
		v->advice = r->meaning.advice;
	say_refusal(f, v);
}

static bool judge_refusal(const struct facts *f, struct verdict *v)
{
	struct refusal r = refusal_of(f);

	if (r.meaning.cause != v->cause)
		return false;
	tell_refusal(f, &r, v);
	return true;
}

bool judge_ALPN_MISMATCH(const struct facts *f, struct verdict *v)
{
	return judge_refusal(f, v);
}

bool judge_LEGACY_RENEGOTIATION(const struct facts *f, struct verdict *v)
{
	return judge_refusal(f, v);
}

bool judge_PSK_MISMATCH(const struct facts *f, struct verdict *v)
{
	return judge_refusal(f, v);
}

/*
 * TLS 1.0 and 1.1 sign with MD5 and SHA-1, which OpenSSL 3 accepts only at security level 0. The
 * side that refuses them complains about the signature; its peer sees an internal error.
 */
static bool is_too_old(const struct facts *f, const struct refusal *r)
{
	bool old = f->version >= SSL3 && f->version < TLS1_2;

	if (!old || !f->failed)
		return false;
	if (r->by_peer)
		return r->alert && (r->alert->description == ALERT_HANDSHAKE_FAILURE ||
				    r->alert->description == ALERT_INTERNAL_ERROR);
	return r->meaning.cause == CAUSE_CIPHER_MISMATCH && f->reason && strstr(f->reason, "sig");
}

/*
 * The peer sees only the highest version that we offer. A peer with TLS 1.2 or 1.3 accepts a client
 * that offers both, so the versions are not the problem, unless the client offers 1.3 alone. A peer
 * that finds other bytes before the ClientHello sends the same alert.
 */
static bool is_no_matter_of_ours(const struct facts *f, const struct refusal *r)
{
	return r->by_peer && f->role == TLSTALL_ROLE_CLIENT && f->version == TLS1_3 && !f->ok;
}

static void doubt_the_version(const struct facts *f, struct verdict *v)
{
	char buffer[WORD_SIZE];

	v->confidence = CONFIDENCE_MEDIUM;
	say(v,
	    "we offered %s: unless we offer only that, the peer found something else before our "
	    "ClientHello; a device on the path may send a PROXY header",
	    word_version(f->version, buffer));
	doubt(v, CAUSE_PROXY_HEADER);
}

bool judge_PROTOCOL_MISMATCH(const struct facts *f, struct verdict *v)
{
	struct refusal r = refusal_of(f);
	char buffer[WORD_SIZE];

	if (!is_too_old(f, &r)) {
		if (!judge_refusal(f, v))
			return false;
		if (is_no_matter_of_ours(f, &r))
			doubt_the_version(f, v);
		return true;
	}
	tell_refusal(f, &r, v);
	say(v, "the version is %s: its signatures are not allowed at security level 1 and above",
	    word_version(f->version, buffer));
	v->confidence = r.by_peer ? CONFIDENCE_LOW : CONFIDENCE_MEDIUM;
	v->advice = meaning_of_reason("unsupported protocol").advice;
	doubt(v, CAUSE_CIPHER_MISMATCH);
	return true;
}

/* The alert says only that something was missing, often the server name. */
static bool is_bare_failure(const struct refusal *r)
{
	return r->by_peer && r->alert && r->alert->description == ALERT_HANDSHAKE_FAILURE;
}

bool is_nameless(const struct facts *f)
{
	return f->role == TLSTALL_ROLE_CLIENT && !f->sni[0] && !f->sni_hidden;
}

static void say_name(const struct facts *f, struct verdict *v)
{
	if (f->sni[0])
		say(v, "the ClientHello asked for the server name (SNI) \"%s\"", f->sni);
	else if (f->sni_hidden)
		say(v, "the trace leaves out server names (TLSTALL_PRIVACY)");
	else
		say(v, "the ClientHello named no server (no SNI)");
}

bool judge_CIPHER_MISMATCH(const struct facts *f, struct verdict *v)
{
	struct refusal r = refusal_of(f);

	if (!judge_refusal(f, v))
		return false;
	if (!is_bare_failure(&r))
		return true;
	doubt(v, CAUSE_CERTIFICATE);
	doubt(v, CAUSE_PROTOCOL_MISMATCH);
	if (f->role == TLSTALL_ROLE_CLIENT && !is_nameless(f)) {
		say_name(f, v);
		doubt(v, CAUSE_SERVER_NAME);
	}
	return true;
}

/* ---- the server's name ------------------------------------------------------------- */

#define HOSTNAME_MISMATCH 62

/* By whether the ClientHello carried a name: without one; with an unknown one. */
static const char *const name_advice[2][2] = {
	/* clients */
	{"Name the server: connect by name, not by address (curl --resolve "
	 "NAME:443:ADDRESS, s_client -servername NAME); in a program "
	 "SSL_set_tlsext_host_name(); in nginx as a proxy proxy_ssl_server_name on.",
	 "The server does not serve that name: compare openssl s_client -connect HOST:PORT "
	 "-servername NAME with the names that it has; check spelling and aliases."},
	/* servers */
	{"Have the client send the server name (SNI): it connected by address, or its program sets "
	 "no name; or configure a default server here.",
	 "Serve that name here, configure a default server (nginx: server_name, "
	 "ssl_reject_handshake), or have the client ask for a name that is served."},
};

/*
 * Alert 112 means an unknown name. Alert 40 in answer to a ClientHello without a name often means
 * the same, and so does a certificate for another name: that is the server's default one.
 */
bool judge_SERVER_NAME(const struct facts *f, struct verdict *v)
{
	struct refusal r = refusal_of(f);
	bool nameless = is_nameless(f);
	bool other = nameless && f->failed && !r.by_peer && f->verify_result == HOSTNAME_MISMATCH;

	if (r.meaning.cause != CAUSE_SERVER_NAME && !other && !(nameless && is_bare_failure(&r)))
		return false;
	tell_refusal(f, &r, v);
	if (r.meaning.cause != CAUSE_SERVER_NAME) {
		v->confidence = CONFIDENCE_MEDIUM;
		doubt(v, other ? CAUSE_CERTIFICATE : CAUSE_CIPHER_MISMATCH);
	}
	say_name(f, v);
	if (f->sni[0] || !f->sni_hidden)
		v->advice = name_advice[f->role == TLSTALL_ROLE_SERVER][f->sni[0] != 0];
	return true;
}

/* ---- roles --------------------------------------------------------------------------- */

/* The side that accepted the connection has the well-known port: only a hint. */
static bool ports_say_swapped(const struct facts *f)
{
	const uint16_t ephemeral = 32768;

	if (!f->local.port || !f->peer.port)
		return false;
	if (f->role == TLSTALL_ROLE_CLIENT)
		return f->local.port < ephemeral && f->peer.port >= ephemeral;
	return f->role == TLSTALL_ROLE_SERVER && f->local.port >= ephemeral &&
	       f->peer.port < ephemeral;
}

/* OpenSSL refused the call itself, whatever the peer does. */
static void tell_no_role(const struct facts *f, struct verdict *v)
{
	v->fault = FAULT_PROGRAM;
	say(v, "%s was called, but the object has no such role",
	    f->last_function && *f->last_function ? f->last_function : "a function");
	v->advice = "Call SSL_set_connect_state or SSL_set_accept_state before SSL_do_handshake, "
		    "SSL_read and SSL_write, and use a method (SSL_CTX_new) that has the role.";
}

/* Bytes of the smallest ClientHello, which the other side sends if it is a client, too. */
#define CLIENT_HELLO_LEAST 50

bool judge_WRONG_ROLE(const struct facts *f, struct verdict *v)
{
	const char *reason = f->reason, *state = f->failed_state;
	bool first = state && (strstr(state, "client hello") || strstr(state, "before"));
	/* a server is one, if another handshake with it succeeded */
	bool proven = f->role == TLSTALL_ROLE_CLIENT && f->others.peers_ok;
	bool met = f->failed && !proven && reason && strstr(reason, "unexpected message") &&
		   first && f->bytes_in >= CLIENT_HELLO_LEAST;
	bool waits = awaits_peer(f) && !f->bytes_in && ports_say_swapped(f);

	if (judge_refusal(f, v)) {
		tell_no_role(f, v);
		return true;
	}
	if (!met && !waits)
		return false;
	v->cost_ns = f->age_ns;
	if (met)
		say_refusal(f, v);
	else
		v->confidence = CONFIDENCE_LOW;
	if (ports_say_swapped(f))
		say(v, "TLS %s, but by its ports (%u here, %u there) the TCP %s",
		    f->role == TLSTALL_ROLE_CLIENT ? "client" : "server", f->local.port,
		    f->peer.port, f->role == TLSTALL_ROLE_CLIENT ? "server" : "client");
	else
		doubt(v, CAUSE_UNKNOWN);
	if (waits)
		doubt(v, CAUSE_PEER_SILENT);
	return true;
}
