/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnosis/reasons.h"

#include <string.h>
#include <strings.h>

#include "judge.h"
#include "words/words.h"

static const struct {
	const char *text;
	struct meaning meaning;
} reasons[] = {
#define REASON(text, cause, weight, advice) {text, {CAUSE_##cause, weight, advice}},
#include "diagnosis/reasons.def"
};

static const struct {
	uint8_t description;
	struct meaning meaning;
} alerts[] = {
	{40, {CAUSE_CIPHER_MISMATCH, HINTS, NULL}},
	{41, {CAUSE_CERTIFICATE, SAYS, NULL}},
	{42, {CAUSE_CERTIFICATE, SAYS, NULL}},
	{43, {CAUSE_CERTIFICATE, SAYS, NULL}},
	{44, {CAUSE_CERTIFICATE, SAYS, NULL}},
	{45, {CAUSE_CERTIFICATE, SAYS, NULL}},
	{46, {CAUSE_CERTIFICATE, SAYS, NULL}},
	{48, {CAUSE_CERTIFICATE, SAYS, NULL}},
	{49, {CAUSE_CERTIFICATE, HINTS, NULL}},
	{70, {CAUSE_PROTOCOL_MISMATCH, SAYS, NULL}},
	{71, {CAUSE_CIPHER_MISMATCH, SAYS, NULL}},
	{86, {CAUSE_PROTOCOL_MISMATCH, HINTS, FELL_BACK}},
	{100, {CAUSE_RENEGOTIATION_STALL, HINTS, NULL}},
	{111, {CAUSE_CERTIFICATE, HINTS, NULL}},
	{112, {CAUSE_SERVER_NAME, SAYS, NULL}},
	{113, {CAUSE_CERTIFICATE, SAYS, NULL}},
	{114, {CAUSE_CERTIFICATE, SAYS, NULL}},
	{115, {CAUSE_PSK_MISMATCH, SAYS, NULL}},
	{116, {CAUSE_CERTIFICATE, SAYS, NULL}},
	{120, {CAUSE_ALPN_MISMATCH, SAYS, NULL}},
};

static const struct meaning unknown = {CAUSE_UNKNOWN, HINTS, NULL};

struct meaning meaning_of_reason(const char *text)
{
	for (size_t i = 0; text && i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (!strcmp(text, reasons[i].text))
			return reasons[i].meaning;
	}
	return unknown;
}

static struct meaning meaning_of_alert(uint8_t description)
{
	for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++) {
		if (alerts[i].description == description)
			return alerts[i].meaning;
	}
	return unknown;
}

int alert_in_reason(const char *text)
{
	static const char *const before[] = {"sslv3 alert ", "ssl/tls alert ", "tls alert ",
					     "tlsv1 alert ", "tlsv13 alert ",  "tlsv1 "};
	char buffer[WORD_SIZE];

	for (size_t i = 0; text && i < sizeof(before) / sizeof(before[0]); i++) {
		size_t length = strlen(before[i]);

		if (strncmp(text, before[i], length))
			continue;
		for (int alert = 0; alert <= UINT8_MAX; alert++) {
			if (!strcasecmp(text + length, word_alert((uint8_t)alert, buffer)))
				return alert;
		}
	}
	return -1;
}

static const struct tlstall_alert *fatal_alert(const struct facts *f)
{
	for (unsigned i = f->alert_count; i-- > 0;) {
		if (i < sizeof(f->alerts) / sizeof(f->alerts[0]) && f->alerts[i].level == 2)
			return &f->alerts[i];
	}
	return NULL;
}

bool has_failed_later(const struct facts *f)
{
	return f->ok && (f->flags & TLSTALL_HS_FIRST_READ) &&
	       f->first_read_error == TLSTALL_ERROR_SSL &&
	       meaning_of_reason(f->reason).cause != CAUSE_PEER_CLOSED;
}

struct refusal refusal_of(const struct facts *f)
{
	struct refusal r = {unknown, NULL, false};
	int told;

	if (!f->failed && !has_failed_later(f))
		return r;
	told = alert_in_reason(f->reason);
	r.alert = fatal_alert(f);
	r.by_peer = told >= 0 || (r.alert && r.alert->by_peer);
	if (r.alert && r.alert->by_peer)
		r.meaning = meaning_of_alert(r.alert->description);
	else if (told >= 0)
		r.meaning = meaning_of_alert((uint8_t)told);
	else
		r.meaning = meaning_of_reason(f->reason);
	if (r.meaning.cause == CAUSE_UNKNOWN && r.alert && !r.by_peer)
		r.meaning = meaning_of_alert(r.alert->description);
	return r;
}
