/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that were refused, are missing, or were checked by a wrong clock. */
#include <stdio.h>
#include <time.h>

#include "judge.h"
#include "diagnosis/reasons.h"
#include "words/words.h"

/* X509_V_ERR_* */
enum {
	NOT_YET_VALID = 9,
	EXPIRED = 10,
	CRL_NOT_YET_VALID = 11,
	CRL_EXPIRED = 12,
	/* a server's default certificate fails with these, too */
	SELF_SIGNED = 18,
	SELF_SIGNED_IN_CHAIN = 19,
	NO_LOCAL_ISSUER = 20,
	NOT_VERIFIED = 21,
};

/* Time services correct a clock by less than this many seconds without anybody noticing. */
#define JUMP_S 60

static bool is_about_time(const struct facts *f)
{
	return f->verify_result >= NOT_YET_VALID && f->verify_result <= CRL_EXPIRED;
}

static struct text date(uint64_t packed)
{
	struct text t;
	unsigned day = (unsigned)(packed / 1000000), second = (unsigned)(packed % 1000000);

	snprintf(t.s, sizeof(t.s), "%04u-%02u-%02u %02u:%02u:%02u", day / 10000, day / 100 % 100,
		 day % 100, second / 10000, second / 100 % 100, second % 100);
	return t;
}

static uint64_t packed(uint64_t realtime_s)
{
	time_t seconds = (time_t)realtime_s;
	struct tm t;

	if (!gmtime_r(&seconds, &t))
		return 0;
	return ((((t.tm_year + 1900ull) * 100 + (unsigned)t.tm_mon + 1) * 100 +
		 (unsigned)t.tm_mday) *
			100 +
		(unsigned)t.tm_hour) *
		       10000 +
	       (unsigned)t.tm_min * 100 + (unsigned)t.tm_sec;
}

/* No clock that is right shows a time before this program was built. */
static bool is_before_us(const struct facts *f)
{
	return f->realtime_s && f->realtime_s < TLSTALL_BUILT;
}

/* Returns whether the peer's chain is valid now, as far as we know. */
static bool say_validity(const struct facts *f, uint64_t now, struct verdict *v)
{
	if (!f->not_after)
		return false;
	say(v, "the peer's chain is valid from %s to %s UTC", date(f->not_before).s,
	    date(f->not_after).s);
	return now >= f->not_before && now <= f->not_after;
}

static const char *clock_advice(const struct facts *f, bool valid)
{
	if (valid)
		return "Update the list of trusted CAs (ca-certificates) or the CRL: what the peer "
		       "sent is valid, something on this side is not.";
	if (f->verify_result == NOT_YET_VALID || f->verify_result == CRL_NOT_YET_VALID)
		return "Check this host's clock first (date -u, timedatectl): a clock that is "
		       "behind is the "
		       "usual cause of \"not yet valid\"; otherwise the peer's certificate is not "
		       "valid yet.";
	if (f->role == TLSTALL_ROLE_SERVER)
		return "Have the client renew its certificate; if its dates are right, this host's "
		       "clock is "
		       "ahead (date -u).";
	return "Renew the certificate, and make sure that the server has loaded the new one "
	       "(openssl "
	       "s_client "
	       "-connect HOST:PORT | openssl x509 -noout -dates); if its dates are right, this "
	       "host's "
	       "clock is ahead (date -u).";
}

/* The clock was set, or the host slept: it may be right now although it was wrong at first. */
static bool has_jumped(const struct facts *f)
{
	return f->clock_step_s > JUMP_S || f->clock_step_s < -JUMP_S;
}

static void say_times(const struct facts *f, struct verdict *v)
{
	uint64_t then = f->realtime_s, later = then + (uint64_t)f->clock_step_s;

	if (then)
		say(v, "this host's clock said %s UTC", date(packed(then)).s);
	if (then && has_jumped(f))
		say(v,
		    "since the program's start the clock was set, or the host slept: by the later "
		    "clock, it was %s",
		    date(packed(later)).s);
}

static void say_clock(const struct facts *f, struct verdict *v)
{
	bool valid = say_validity(f, f->realtime_s ? packed(f->realtime_s) : 0, v);

	say_times(f, v);
	if (valid)
		say(v, "everything that the peer sent is valid by this clock: a CA of the local "
		       "list or a CRL is not, or the program uses another clock");
	v->advice = clock_advice(f, valid);
	if (!is_before_us(f))
		return;
	say(v, "that is before tlstall was built, %s UTC: the clock is wrong",
	    date(packed(TLSTALL_BUILT)).s);
	v->fault = FAULT_HOST;
	v->advice = "Set this host's clock (timedatectl, chronyc tracking), and start the program "
		    "after that (time-sync.target).";
}

static bool may_be_default(const struct facts *f)
{
	return is_nameless(f) && f->verify_result >= SELF_SIGNED &&
	       f->verify_result <= NOT_VERIFIED;
}

/* The server answered the ClientHello by an alert: it has neither seen nor asked for a certificate.
 */
static bool is_about_no_certificate(const struct facts *f, const struct refusal *r)
{
	return r->by_peer && f->role == TLSTALL_ROLE_CLIENT && f->failed && !f->finished_before &&
	       f->bytes_in && !answered_bytes(f);
}

bool judge_CERTIFICATE(const struct facts *f, struct verdict *v)
{
	struct refusal r = refusal_of(f);
	char buffer[WORD_SIZE];

	if (r.meaning.cause != CAUSE_CERTIFICATE || is_about_no_certificate(f, &r))
		return false;
	tell_refusal(f, &r, v);
	if (f->verify_result)
		say(v, "verify result %d (%s)", f->verify_result,
		    word_verify(f->verify_result, buffer));
	if (r.by_peer)
		v->advice =
			"The peer refused our certificate, or got none: its log says why. Check "
			"what we send, and whether its list of CAs contains our issuer; if the "
			"certificate has expired or is not yet valid, compare both hosts' clocks.";
	else if (is_about_time(f))
		say_clock(f, v);
	else if (f->role == TLSTALL_ROLE_SERVER && !r.meaning.advice)
		v->advice = "Check the certificate that the client sends, and whether the list of "
			    "CAs here contains its issuer: openssl verify -CAfile CAS CERTIFICATE.";
	else if (may_be_default(f)) {
		say(v, "the ClientHello named no server (no SNI): this may be the server's default "
		       "certificate");
		doubt(v, CAUSE_SERVER_NAME);
	}
	return true;
}
