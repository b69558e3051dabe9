/* SPDX-License-Identifier: Apache-2.0 */
#include "live/fields.h"

#include <stdio.h>
#include <string.h>

#include "words/words.h"

/* ---- texts --------------------------------------------------------------------- */

static void copy(char buffer[FIELD_SIZE], const char *text)
{
	snprintf(buffer, FIELD_SIZE, "%s", text && *text ? text : "-");
}

static void pid(const struct subject *subject, char buffer[FIELD_SIZE])
{
	subject_pid(subject, buffer);
}

static void comm(const struct subject *subject, char buffer[FIELD_SIZE])
{
	snprintf(buffer, FIELD_SIZE, "%.15s", subject->process.comm);
}

static void peer(const struct subject *subject, char buffer[FIELD_SIZE])
{
	char word[WORD_SIZE];

	copy(buffer, word_address(&subject->h.peer, word));
}

static void sni(const struct subject *subject, char buffer[FIELD_SIZE])
{
	char name[sizeof(subject->h.sni) + 1] = "";

	memcpy(name, subject->h.sni, sizeof(subject->h.sni));
	copy(buffer, name);
}

static void state(const struct subject *subject, char buffer[FIELD_SIZE])
{
	copy(buffer, subject->facts.state);
}

static void age(const struct subject *subject, char buffer[FIELD_SIZE])
{
	char word[WORD_SIZE];

	copy(buffer, word_duration(subject->facts.age_ns, word));
	/* found from outside, or begun before we came: a lower bound */
	if (subject->h.flags & (TLSTALL_HS_LOOKED | TLSTALL_HS_MIDDLE))
		snprintf(buffer, FIELD_SIZE, "%s+", word);
}

static void retries(const struct subject *subject, char buffer[FIELD_SIZE])
{
	if (subject->h.flags & TLSTALL_HS_LOOKED)
		copy(buffer, NULL); /* not known */
	else
		snprintf(buffer, FIELD_SIZE, "%u", subject->h.retries);
}

static void cause(const struct subject *subject, char buffer[FIELD_SIZE])
{
	copy(buffer, cause_name(subject->verdicts[0].cause));
}

static void fault(const struct subject *subject, char buffer[FIELD_SIZE])
{
	copy(buffer, fault_name(subject->verdicts[0].fault));
}

/* ---- orders ---------------------------------------------------------------------- */

static int number_order(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_pid(const struct subject *a, const struct subject *b)
{
	return number_order((uint64_t)a->pid_here, (uint64_t)b->pid_here);
}

static int by_comm(const struct subject *a, const struct subject *b)
{
	return strncmp(a->process.comm, b->process.comm, sizeof(a->process.comm));
}

static int by_peer(const struct subject *a, const struct subject *b)
{
	return memcmp(&a->h.peer, &b->h.peer, sizeof(a->h.peer));
}

static int by_sni(const struct subject *a, const struct subject *b)
{
	return strncmp(a->h.sni, b->h.sni, sizeof(a->h.sni));
}

static int by_state(const struct subject *a, const struct subject *b)
{
	return number_order(a->h.state, b->h.state);
}

static int by_age(const struct subject *a, const struct subject *b)
{
	return number_order(b->facts.age_ns, a->facts.age_ns);
}

static int by_retries(const struct subject *a, const struct subject *b)
{
	return number_order(b->h.retries, a->h.retries);
}

static int by_cause(const struct subject *a, const struct subject *b)
{
	return number_order(a->verdicts[0].cause, b->verdicts[0].cause);
}

static int by_fault(const struct subject *a, const struct subject *b)
{
	return number_order(a->verdicts[0].fault, b->verdicts[0].fault);
}

const struct field live_fields[] = {
	{"PID", 7, 7, 0, true, false, pid, by_pid},
	{"COMMAND", 8, 15, 0, false, false, comm, by_comm},
	{"PEER", 15, 21, 0, false, false, peer, by_peer},
	{"SNI", 20, 20, 140, false, false, sni, by_sni},
	{"STATE", 0, 0, 0, false, false, state, by_state},
	{"AGE", 10, 10, 0, true, false, age, by_age},
	{"RETRY", 5, 5, 90, true, false, retries, by_retries},
	{"CAUSE", 14, 22, 0, false, true, cause, by_cause},
	{"FAULT", 8, 13, 0, false, true, fault, by_fault},
};
_Static_assert(sizeof(live_fields) / sizeof(live_fields[0]) <= LIVE_FIELDS_MAX, "top has room");
const unsigned live_field_count = sizeof(live_fields) / sizeof(live_fields[0]);
