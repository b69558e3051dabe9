/* SPDX-License-Identifier: Apache-2.0 */
/* Which causes OpenSSL's reasons and TLS alerts indicate. */
#ifndef TOOLS_DIAGNOSIS_REASONS_H
#define TOOLS_DIAGNOSIS_REASONS_H

#include "diagnosis/diagnosis.h"

enum weight {
	HINTS, /* the cause fits best */
	SAYS,  /* the words name the cause */
};

/* CAUSE_UNKNOWN: it may mean many things. */
struct meaning {
	enum cause cause;
	enum weight weight;
	const char *advice; /* NULL: the cause's own */
};

/* Of a row in reasons.def. */
struct meaning meaning_of_reason(const char *text);
/* The alert whose arrival the reason reports; -1: none. */
int alert_in_reason(const char *text);

/*
 * Why the two sides did not come together: by the peer's alert, else by our own reason, which
 * says more than the alert that we sent. `alert`: the last fatal one, NULL: none.
 */
struct refusal {
	struct meaning meaning;
	const struct tlstall_alert *alert;
	bool by_peer;
};
struct refusal refusal_of(const struct facts *facts);
/*
 * A TLS 1.3 client learns in its first read that its certificate was refused. A peer that hangs
 * up after the handshake has refused nothing.
 */
bool has_failed_later(const struct facts *facts);

#endif
