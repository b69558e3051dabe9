/* SPDX-License-Identifier: Apache-2.0 */
/* One handshake in words. See paragraph.h. */
#include "view/paragraph.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "text/clean.h"
#include "text/print.h"
#include "view/line.h"
#include "words/words.h"

#define WIDTH 80
#define LABEL 11 /* columns of a label */
#define SAID 1024 /* bytes of a labeled text */
#define SPIN 50	 /* more equal results in a row than this are worth mentioning */
#define FRAMES 8 /* innermost ones of the program and its libraries */

struct sheet {
	FILE *out;
	bool color;
};

static void style(const struct sheet *sheet, const char *code)
{
	if (sheet->color)
		print_ours(sheet->out, code);
}

/* ---- labeled, wrapped lines -------------------------------------------------- */

static void label(const struct sheet *sheet, const char *text)
{
	style(sheet, PRINT_DIM);
	print(sheet->out, "  %-*s", LABEL - 2, text);
	style(sheet, PRINT_RESET);
}

/* Breaks lines between words. The first line is already indented. */
static void wrap_clean(const struct sheet *sheet, const char *text, unsigned indent)
{
	unsigned column = indent;

	for (const char *word = text; *word;) {
		size_t length = strcspn(word, " ");
		unsigned columns = clean_columns(word, length);

		if (column > indent && column + 1 + columns > WIDTH) {
			print(sheet->out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			putc(' ', sheet->out);
			column++;
		}
		print(sheet->out, "%.*s", (int)length, word);
		column += columns;
		word += length + strspn(word + length, " ");
	}
	putc('\n', sheet->out);
}

static void wrap(const struct sheet *sheet, const char *text, unsigned indent)
{
	char clean[CLEAN_LONGER * SAID + 1];

	clean_text(text, clean, sizeof(clean));
	wrap_clean(sheet, clean, indent);
}

static void say(const struct sheet *sheet, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(const struct sheet *sheet, const char *name, const char *format, ...)
{
	char text[SAID];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	label(sheet, name);
	wrap(sheet, text, LABEL);
}

/* ---- whose fault ---------------------------------------------------------------- */

static const char *whose(enum fault fault)
{
	static const char *const words[] = {
		[FAULT_NONE] = "Nobody's fault",
		[FAULT_PROGRAM] = "The program's fault",
		[FAULT_HOST] = "This host's fault",
		[FAULT_NETWORK] = "The network's fault",
		[FAULT_PEER] = "The peer's fault",
		[FAULT_CONFIGURATION] = "A matter of configuration",
		[FAULT_UNKNOWN] = "Cause unknown",
	};

	return words[fault];
}

static void headline(const struct sheet *sheet, const struct verdict *verdict)
{
	style(sheet, verdict->fault == FAULT_NONE || verdict->fault == FAULT_UNKNOWN
			     ? PRINT_BOLD PRINT_YELLOW
			     : PRINT_BOLD PRINT_RED);
	print_text(sheet->out, whose(verdict->fault));
	style(sheet, PRINT_RESET);
	fputs(": ", sheet->out);
	style(sheet, PRINT_BOLD);
	print_text(sheet->out, cause_name(verdict->cause));
	style(sheet, PRINT_RESET);
	print(sheet->out, " (%s confidence)\n  ", confidence_name(verdict->confidence));
	wrap(sheet, cause_title(verdict->cause), 2);
}

/* ---- who, how long, where --------------------------------------------------------- */

static void who(const struct sheet *sheet, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	bool server = h->role == TLSTALL_ROLE_SERVER;
	char buffer[WORD_SIZE], name[sizeof(h->sni) + 16] = "";
	const char *peer = word_address(&h->peer, buffer);
	const char *nobody = h->read.fd >= 0 ? "a peer whose address was not recorded"
					     : "a peer whose address only the program knows";
	char pid[SUBJECT_PID_SIZE];

	if (h->sni[0])
		snprintf(name, sizeof(name), " (%s%.71s)", *peer ? "" : "sni ", h->sni);
	say(sheet, "who", "%.15s[%s], TLS %s, %s %s%s", subject->process.comm,
	    subject_pid(subject, pid), server ? "server" : "client", server ? "with" : "to",
	    *peer ? peer : nobody, name);
}

/* Its state, or how it ended. */
static const char *ending(const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;

	switch (h->outcome) {
	case TLSTALL_OUTCOME_OK:
		return "then it succeeded";
	case TLSTALL_OUTCOME_FAILED:
		return "then it failed";
	case TLSTALL_OUTCOME_ABANDONED:
		return h->flags & TLSTALL_HS_CLEARED ? "then given up (SSL_clear)"
		       : h->flags & TLSTALL_HS_FREED ? "then given up (SSL_free)"
						     : "until the program ended";
	default:
		return subject->facts.detached	      ? "and still in progress when tlstall detached"
		       : subject->facts.process_alive ? "and still in progress"
						    : "until the program was killed";
	}
}

/* Nobody saw it begin: only lower bounds are known. */
static void how_long_at_least(const struct sheet *sheet, const struct subject *subject)
{
	const char *function = subject->facts.in_call_function;
	bool inside = subject->h.enter;
	char buffer[WORD_SIZE];

	if (!subject->facts.age_ns)
		say(sheet, "how long", "not known, or it has just made progress%s%s",
		    inside ? "; inside " : "", inside && function ? function : "");
	else
		say(sheet, "how long", "at least %s, %s%s%s",
		    word_duration(subject->facts.age_ns, buffer), ending(subject),
		    inside ? "; inside " : "; between calls",
		    inside ? function && *function ? function : "OpenSSL" : "");
}

/* Killed, or ended without a trace of its own: the last look was some time before. */
static bool is_cut_off(const struct subject *subject)
{
	return subject->h.outcome == TLSTALL_OUTCOME_IN_FLIGHT && !subject->facts.process_alive;
}

static void how_long(const struct sheet *sheet, const struct subject *subject)
{
	char buffer[WORD_SIZE], since[WORD_SIZE];
	const struct facts *facts = &subject->facts;
	const char *total = word_duration(facts->age_ns, buffer);

	if (subject->h.flags & TLSTALL_HS_LOOKED)
		how_long_at_least(sheet, subject);
	else if (facts->begun_ns)
		say(sheet, "how long", "at least %s, %s; tlstall saw the last %s of it",
		    word_duration(facts->begun_ns + facts->age_ns, since), ending(subject), total);
	else if (subject->h.flags & TLSTALL_HS_MIDDLE)
		say(sheet, "how long", "at least %s since tlstall attached, %s; it began before", total,
		    ending(subject));
	/* nothing is recorded between the last call and a kill */
	else if (is_cut_off(subject) && facts->in_op_ns && !facts->left)
		say(sheet, "how long", "at least %s; then the program was killed, inside %s", total,
		    facts->in_call_function ? facts->in_call_function : "a call");
	else if (is_cut_off(subject))
		say(sheet, "how long", "at least %s; then the program was killed", total);
	else if (subject->h.outcome == TLSTALL_OUTCOME_IN_FLIGHT && facts->in_op_ns && !facts->left)
		say(sheet, "how long", "%s, %s; inside %s for %s", total, ending(subject),
		    facts->in_call_function ? facts->in_call_function : "a call",
		    word_duration(facts->in_op_ns, since));
	else
		say(sheet, "how long", "%s, %s", total, ending(subject));
}

static void state(const struct sheet *sheet, const struct subject *subject)
{
	const struct facts *facts = &subject->facts;
	bool failed = subject->h.outcome == TLSTALL_OUTCOME_FAILED;
	const char *name = failed && facts->failed_state ? facts->failed_state : facts->state;
	char buffer[WORD_SIZE];
	const char *version = word_version(subject->h.version, buffer);

	if (!name || !*name)
		return;
	if (*version && subject->h.outcome == TLSTALL_OUTCOME_OK)
		say(sheet, "state", "%s, %s", name, version);
	else
		say(sheet, "state", "%s", name);
}

/* "3 of WANT_READ, 1 of WANT_WRITE" */
static void retry_kinds(const struct tlstall_handshake *h, char *text, size_t size)
{
	const struct {
		uint32_t count;
		const char *name;
	} kinds[] = {{h->want_read, "WANT_READ"},
		     {h->want_write, "WANT_WRITE"},
		     {h->want_other, "another WANT"}};
	size_t length = 0;

	text[0] = '\0';
	for (size_t i = 0; i < 3 && length < size; i++) {
		if (!kinds[i].count)
			continue;
		length += (size_t)snprintf(text + length, size - length, "%s%u %s",
					   length ? ", " : "", kinds[i].count, kinds[i].name);
	}
}

static void calls(const struct sheet *sheet, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	const char *function = subject->facts.last_function;
	char kinds[128];

	retry_kinds(h, kinds, sizeof(kinds));
	if (!h->calls) {
		say(sheet, "calls", "the first %s %s",
		    subject->facts.in_call_function ? subject->facts.in_call_function : "call",
		    subject->facts.left ? "never returned" : "has not returned");
		return;
	}
	say(sheet, "calls", "%u%s%s%s%s%s%s", h->calls, h->calls > 1 ? ", the last one " : " ",
	    function && *function ? function : "op", *kinds ? ", answered by " : "", kinds,
	    h->retries ? "" : ", no retry", h->longest_run >= SPIN ? ";" : "");
	if (h->longest_run >= SPIN)
		say(sheet, "", "%u times the same result in a row, with no byte moved",
		    h->longest_run);
}

/* The parts of the time that matter, longest first. */
static void time_split(const struct sheet *sheet, const struct time_split *time)
{
	struct {
		uint64_t ns;
		const char *what;
	} parts[] = {
		{time->wait_in_call_ns, "waiting inside OpenSSL"},
		{time->gap_waiting_ns, "waiting for the peer"},
		{time->gap_ready_ns, "not called although ready"},
		{time->cpu_ns, "on the CPU in OpenSSL"},
		{time->other_ns, "elsewhere in the program"},
	};
	char text[512] = "", buffer[WORD_SIZE];
	size_t length = 0;

	for (size_t n = 0; n < 5; n++) {
		size_t most = 0;

		for (size_t i = 1; i < 5; i++)
			if (parts[i].ns > parts[most].ns)
				most = i;
		if (parts[most].ns * 100 < time->total_ns || !parts[most].ns)
			break;
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s %s",
					   length ? ", " : "",
					   word_duration(parts[most].ns, buffer), parts[most].what);
		parts[most].ns = 0;
	}
	if (length)
		say(sheet, "time", "%s", text);
}

/* ---- what went wrong, where in the code -------------------------------------------- */

static void reason(const struct sheet *sheet, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	const char *text = subject->facts.reason;
	char buffer[WORD_SIZE];

	if (h->outcome == TLSTALL_OUTCOME_FAILED)
		say(sheet, "error", "%s%s%s", word_error(h->last_error), text && *text ? ": " : "",
		    text ? text : "");
	else if (text && *text && h->ossl_error)
		say(sheet, "error", "%s", text);
	for (unsigned i = 0; i < h->alert_count && i < sizeof(h->alerts) / sizeof(*h->alerts); i++)
		say(sheet, "alert", "%s, %s, sent by %s",
		    word_alert(h->alerts[i].description, buffer),
		    word_alert_level(h->alerts[i].level), h->alerts[i].by_peer ? "the peer" : "us");
}

/* The shim's own frames, and those that called main(). */
static bool is_scaffold(const struct symbol *symbol)
{
	return (symbol->module && !strncmp(symbol->module, "libtlstall", 10)) ||
	       (symbol->function && (!strncmp(symbol->function, "__libc_start", 12) ||
				     !strcmp(symbol->function, "_start")));
}

/* Of frames without a name, only the innermost is useful: it shows where the code is. */
static void code(const struct sheet *sheet, const struct subject *subject, struct symbols *symbols)
{
	const struct tlstall_handshake *h = &subject->h;
	struct tlstall_stack stack;
	unsigned shown = 0;
	char text[256];

	if (!symbols ||
	    trace_stack(subject->trace, h->stack_fail ? h->stack_fail : h->stack_first, &stack))
		return;
	for (uint32_t i = 0; i < stack.count && i < TLSTALL_STACK_FRAMES && shown < FRAMES; i++) {
		struct symbol symbol = {0};

		if (!symbols_find_frame(symbols, &stack, i, &symbol) ||
		    is_scaffold(&symbol) || (shown && !symbol.function))
			continue;
		symbols_format(&symbol, stack.frames[i], text, sizeof(text));
		label(sheet, shown++ ? "" : "code");
		print_text(sheet->out, text);
		putc('\n', sheet->out);
	}
}

/* ---- verdict ------------------------------------------------------------------------ */

static void others(const struct sheet *sheet, const struct verdict *verdict)
{
	for (unsigned i = 0; i < verdict->not_told_from_count; i++)
		say(sheet, i ? "" : "or else", "%s: %s", cause_name(verdict->not_told_from[i]),
		    cause_title(verdict->not_told_from[i]));
}

/* What took time besides the first verdict. */
static void also(const struct sheet *sheet, const struct subject *subject)
{
	char buffer[WORD_SIZE];

	for (unsigned i = 1; i < subject->verdict_count && i < SUBJECT_VERDICTS; i++) {
		const struct verdict *verdict = &subject->verdicts[i];

		say(sheet, "also", "%s (%s), %s: %s", cause_name(verdict->cause),
		    fault_name(verdict->fault), word_duration(verdict->cost_ns, buffer),
		    cause_title(verdict->cause));
	}
}

void paragraph_write(FILE *out, const struct subject *subject, struct symbols *symbols, bool color)
{
	const struct sheet sheet = {out, color};
	const struct verdict *verdict = &subject->verdicts[0];

	headline(&sheet, verdict);
	who(&sheet, subject);
	how_long(&sheet, subject);
	state(&sheet, subject);
	if (subject->h.flags & TLSTALL_HS_LOOKED) {
		say(&sheet, "calls", "not known (seen from outside)");
	} else {
		calls(&sheet, subject);
		reason(&sheet, subject);
		time_split(&sheet, &subject->facts.time);
	}
	code(&sheet, subject, symbols);
	for (unsigned i = 0; i < verdict->evidence_count && i < VERDICT_EVIDENCE; i++)
		say(&sheet, i ? "" : "evidence", "%s", verdict->evidence[i]);
	others(&sheet, verdict);
	also(&sheet, subject);
	if (verdict->advice && *verdict->advice)
		say(&sheet, "next", "%s", verdict->advice);
}
