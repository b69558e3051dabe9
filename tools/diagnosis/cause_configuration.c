/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes that failed because the two sides do not fit together. */
#include <string.h>

#include "judge.h"

/*
 * OpenSSL's reasons, by a part of their text: it has changed less between 1.1.1
 * and 4.0 than the numbers of its libraries. The first that fits counts. What
 * the peer's alert says is in the table below; here a reason that names an
 * alert is of no use.
 */
static const struct {
	const char *part;
	enum cause cause;
} reasons[] = {
	{"no application protocol", CAUSE_ALPN_MISMATCH},
	{"unsupported protocol", CAUSE_PROTOCOL_MISMATCH},
	{"no protocols available", CAUSE_PROTOCOL_MISMATCH},
	{"wrong ssl version", CAUSE_PROTOCOL_MISMATCH},
	{"unknown ssl version", CAUSE_PROTOCOL_MISMATCH},
	{"unsupported ssl version", CAUSE_PROTOCOL_MISMATCH},
	{"version too low", CAUSE_PROTOCOL_MISMATCH},
	{"version too high", CAUSE_PROTOCOL_MISMATCH},
	{"inappropriate fallback", CAUSE_PROTOCOL_MISMATCH},
	{"unsafe legacy renegotiation disabled", CAUSE_PROTOCOL_MISMATCH},
	{"no shared cipher", CAUSE_CIPHER_MISMATCH},
	{"no ciphers", CAUSE_CIPHER_MISMATCH},
	{"no suitable", CAUSE_CIPHER_MISMATCH},
	{"no shared", CAUSE_CIPHER_MISMATCH},
	{"wrong cipher", CAUSE_CIPHER_MISMATCH},
	{"unknown cipher", CAUSE_CIPHER_MISMATCH},
	{"cipher or hash unavailable", CAUSE_CIPHER_MISMATCH},
	{"dh key too small", CAUSE_CIPHER_MISMATCH},
	{"wrong curve", CAUSE_CIPHER_MISMATCH},
	{"unsupported elliptic curve", CAUSE_CIPHER_MISMATCH},
	{"wrong signature type", CAUSE_CIPHER_MISMATCH},
	{"bad key share", CAUSE_CIPHER_MISMATCH},
	{"certificate", CAUSE_CERTIFICATE},
	{"ee key too small", CAUSE_CERTIFICATE},
	{"ca key too small", CAUSE_CERTIFICATE},
	{"ca md too weak", CAUSE_CERTIFICATE},
	{"wrong version number", CAUSE_PLAINTEXT_PEER},
	{"http request", CAUSE_PLAINTEXT_PEER},
	{"https proxy request", CAUSE_PLAINTEXT_PEER},
	{"packet length too long", CAUSE_PLAINTEXT_PEER},
	{"connection type not set", CAUSE_WRONG_ROLE},
	{"called a function you should not call", CAUSE_WRONG_ROLE},
};

/* Alerts by number; a cause of UNKNOWN: it may mean many things. */
static const struct {
	uint8_t description;
	const char *word;
	enum cause cause;
} alerts[] = {
	{0, "close notify", CAUSE_UNKNOWN},
	{10, "unexpected message", CAUSE_UNKNOWN},
	{20, "bad record MAC", CAUSE_UNKNOWN},
	{22, "record overflow", CAUSE_UNKNOWN},
	{40, "handshake failure", CAUSE_CIPHER_MISMATCH},
	{41, "no certificate", CAUSE_CERTIFICATE},
	{42, "bad certificate", CAUSE_CERTIFICATE},
	{43, "unsupported certificate", CAUSE_CERTIFICATE},
	{44, "certificate revoked", CAUSE_CERTIFICATE},
	{45, "certificate expired", CAUSE_CERTIFICATE},
	{46, "certificate unknown", CAUSE_CERTIFICATE},
	{47, "illegal parameter", CAUSE_UNKNOWN},
	{48, "unknown CA", CAUSE_CERTIFICATE},
	{49, "access denied", CAUSE_CERTIFICATE},
	{50, "decode error", CAUSE_UNKNOWN},
	{51, "decrypt error", CAUSE_UNKNOWN},
	{70, "protocol version", CAUSE_PROTOCOL_MISMATCH},
	{71, "insufficient security", CAUSE_CIPHER_MISMATCH},
	{80, "internal error", CAUSE_UNKNOWN},
	{86, "inappropriate fallback", CAUSE_PROTOCOL_MISMATCH},
	{90, "user cancelled", CAUSE_UNKNOWN},
	{100, "no renegotiation", CAUSE_RENEGOTIATION_STALL},
	{109, "missing extension", CAUSE_UNKNOWN},
	{110, "unsupported extension", CAUSE_UNKNOWN},
	{112, "unrecognised name", CAUSE_CERTIFICATE},
	{113, "bad certificate status response", CAUSE_CERTIFICATE},
	{115, "unknown PSK identity", CAUSE_UNKNOWN},
	{116, "certificate required", CAUSE_CERTIFICATE},
	{120, "no application protocol", CAUSE_ALPN_MISMATCH},
};

const char *alert_word(uint8_t description)
{
	for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++) {
		if (alerts[i].description == description)
			return alerts[i].word;
	}
	return "unknown to us";
}

/* The last fatal alert, NULL: none. */
static const struct tlstall_alert *fatal_alert(const struct tlstall_handshake *h)
{
	for (unsigned i = h->alert_count; i-- > 0;) {
		if (i < sizeof(h->alerts) / sizeof(h->alerts[0]) && h->alerts[i].level == 2)
			return &h->alerts[i];
	}
	return NULL;
}

static enum cause of_alert(const struct tlstall_alert *alert)
{
	for (size_t i = 0; alert && i < sizeof(alerts) / sizeof(alerts[0]); i++) {
		if (alerts[i].description == alert->description)
			return alerts[i].cause;
	}
	return CAUSE_UNKNOWN;
}

static enum cause of_reason(const char *reason)
{
	if (!reason || strstr(reason, " alert "))
		return CAUSE_UNKNOWN;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (strstr(reason, reasons[i].part))
			return reasons[i].cause;
	}
	return CAUSE_UNKNOWN;
}

/* A TLS 1.3 client learns that its certificate was refused in its first read. */
static bool refused_later(const struct sight *s)
{
	return s->ok && (s->h->flags & TLSTALL_HS_FIRST_READ) &&
	       s->h->first_read_error == ERROR_SSL;
}

/* Our own reason says more than the alert that we sent; of the peer's we have the alert only. */
static enum cause refusal(const struct sight *s)
{
	const struct tlstall_alert *alert = fatal_alert(s->h);
	enum cause cause;

	if (!s->failed && !refused_later(s))
		return CAUSE_UNKNOWN;
	if (alert && alert->by_peer)
		return of_alert(alert);
	cause = of_reason(s->f->reason);
	return cause != CAUSE_UNKNOWN ? cause : of_alert(alert);
}

static void say_refusal(const struct sight *s, struct verdict *v)
{
	const char *state = s->f->failed_state;

	if (s->f->reason && *s->f->reason)
		say(v, "OpenSSL's reason: \"%s\", after %s", s->f->reason, span(s->f->age_ns).s);
	if (state && *state)
		say(v, "failed in state \"%s\", with %s read and %s written", state,
		    size(s->h->bytes_in).s, size(s->h->bytes_out).s);
	say_alerts(s, v);
	say_neighbours(s, v);
}

static bool judge_refusal(const struct sight *s, struct verdict *v)
{
	if (refusal(s) != v->cause)
		return false;
	v->cost_ns = s->f->age_ns;
	v->confidence = CONFIDENCE_HIGH;
	say_refusal(s, v);
	return true;
}

bool judge_CERTIFICATE(const struct sight *s, struct verdict *v)
{
	const struct tlstall_alert *alert = fatal_alert(s->h);

	if (!judge_refusal(s, v))
		return false;
	if (s->h->verify_result)
		say(v, "verify result %d", s->h->verify_result);
	if (alert && alert->by_peer)
		v->advice = "The peer refused our certificate, or misses one: its log says why. "
			    "See what we send and whether its list of CAs has our issuer.";
	return true;
}

bool judge_ALPN_MISMATCH(const struct sight *s, struct verdict *v)
{
	return judge_refusal(s, v);
}

bool judge_CIPHER_MISMATCH(const struct sight *s, struct verdict *v)
{
	const struct tlstall_alert *alert = fatal_alert(s->h);

	if (!judge_refusal(s, v))
		return false;
	if (alert && alert->by_peer && alert->description == 40) {
		v->confidence = CONFIDENCE_MEDIUM;
		doubt(v, CAUSE_CERTIFICATE);
		doubt(v, CAUSE_PROTOCOL_MISMATCH);
	}
	return true;
}

bool judge_PROTOCOL_MISMATCH(const struct sight *s, struct verdict *v)
{
	return judge_refusal(s, v);
}

bool judge_PLAINTEXT_PEER(const struct sight *s, struct verdict *v)
{
	if (!judge_refusal(s, v))
		return false;
	if (s->h->state_count > 4) {
		v->confidence = CONFIDENCE_LOW;
		doubt(v, CAUSE_PROTOCOL_MISMATCH);
	}
	return true;
}

/* The side that accepted has the well-known port: a hint, no more. */
static bool ports_say_swapped(const struct tlstall_handshake *h)
{
	const uint16_t ephemeral = 32768;

	if (!h->local.port || !h->peer.port)
		return false;
	if (h->role == TLSTALL_ROLE_CLIENT)
		return h->local.port < ephemeral && h->peer.port >= ephemeral;
	return h->role == TLSTALL_ROLE_SERVER && h->local.port >= ephemeral &&
	       h->peer.port < ephemeral;
}

bool judge_WRONG_ROLE(const struct sight *s, struct verdict *v)
{
	const char *reason = s->f->reason, *state = s->f->failed_state;
	bool first = state && (strstr(state, "client hello") || strstr(state, "before"));
	bool met = s->failed && reason && strstr(reason, "unexpected message") && first;
	bool waits = awaits_peer(s) && !s->h->bytes_in && ports_say_swapped(s->h);

	if (judge_refusal(s, v))
		return true;
	if (!met && !waits)
		return false;
	v->cost_ns = s->f->age_ns;
	if (met)
		say_refusal(s, v);
	else
		v->confidence = CONFIDENCE_LOW;
	if (ports_say_swapped(s->h))
		say(v, "TLS %s, but by its ports (%u here, %u there) the TCP %s",
		    s->h->role == TLSTALL_ROLE_CLIENT ? "client" : "server", s->h->local.port,
		    s->h->peer.port, s->h->role == TLSTALL_ROLE_CLIENT ? "server" : "client");
	else
		doubt(v, CAUSE_UNKNOWN);
	if (waits)
		doubt(v, CAUSE_PEER_SILENT);
	return true;
}
