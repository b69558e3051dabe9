/* SPDX-License-Identifier: Apache-2.0 */
/* One handshake in words. See paragraph.h. */
#include "view/paragraph.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "view/line.h"
#include "view/words.h"

#define WIDTH 80
#define LABEL 11 /* columns before what is said */
#define SPIN 50	 /* equal results in a row that are worth a word */
#define FRAMES 8 /* innermost ones of the program and its libraries */

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RED "\033[31m"
#define YELLOW "\033[33m"
#define RESET "\033[0m"

struct page {
	FILE *out;
	bool colour;
};

static void style(const struct page *page, const char *code)
{
	if (page->colour)
		fputs(code, page->out);
}

/* ---- labelled, wrapped lines -------------------------------------------------- */

static void label(const struct page *page, const char *text)
{
	style(page, DIM);
	fprintf(page->out, "  %-*s", LABEL - 2, text);
	style(page, RESET);
}

/* Columns of UTF-8 text, near enough: bytes that do not continue a character. */
static unsigned columns(const char *text, size_t length)
{
	unsigned count = 0;

	for (size_t i = 0; i < length; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

/* Breaks between words; the first line is indented already. */
static void wrap(const struct page *page, const char *text, unsigned indent)
{
	unsigned column = indent;

	for (const char *word = text; *word;) {
		size_t length = strcspn(word, " ");
		char part[256];

		if (column > indent && column + 1 + columns(word, length) > WIDTH) {
			fprintf(page->out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			putc(' ', page->out);
			column++;
		}
		snprintf(part, sizeof(part), "%.*s", (int)length, word);
		line_text(page->out, part);
		column += columns(word, length);
		word += length + strspn(word + length, " ");
	}
	putc('\n', page->out);
}

static void say(const struct page *page, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(const struct page *page, const char *name, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	label(page, name);
	wrap(page, text, LABEL);
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

static void headline(const struct page *page, const struct verdict *verdict)
{
	style(page, verdict->fault == FAULT_NONE || verdict->fault == FAULT_UNKNOWN ? BOLD YELLOW
										    : BOLD RED);
	fputs(whose(verdict->fault), page->out);
	style(page, RESET);
	fputs(": ", page->out);
	style(page, BOLD);
	fputs(cause_name(verdict->cause), page->out);
	style(page, RESET);
	fprintf(page->out, " (%s confidence)\n  ", confidence_name(verdict->confidence));
	wrap(page, cause_title(verdict->cause), 2);
}

/* ---- who, how long, where --------------------------------------------------------- */

static void who(const struct page *page, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	bool server = h->role == TLSTALL_ROLE_SERVER;
	char buffer[WORD_SIZE], name[sizeof(h->sni) + 16] = "";
	const char *peer = word_address(&h->peer, buffer);

	if (h->sni[0])
		snprintf(name, sizeof(name), " (%s%.71s)", *peer ? "" : "sni ", h->sni);
	say(page, "who", "%.15s[%u], TLS %s, %s %s%s", subject->process.comm, subject->process.pid,
	    server ? "server" : "client", server ? "with" : "to",
	    *peer ? peer : "a peer whose address only the program knows", name);
}

/* How it stands, or how it ended. */
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
		return subject->facts.process_alive ? "and still at it"
						    : "until the program was killed";
	}
}

static void how_long(const struct page *page, const struct subject *subject)
{
	char buffer[WORD_SIZE], since[WORD_SIZE];
	const struct facts *facts = &subject->facts;
	const char *total = word_duration(facts->age_ns, buffer);

	/* nothing is recorded between a call's entry and a kill */
	if (subject->h.outcome == TLSTALL_OUTCOME_IN_FLIGHT && facts->in_op_ns &&
	    !facts->process_alive)
		say(page, "how long", "at least %s; then the program was killed, inside %s", total,
		    facts->in_call_function ? facts->in_call_function : "a call");
	else if (subject->h.outcome == TLSTALL_OUTCOME_IN_FLIGHT && facts->in_op_ns)
		say(page, "how long", "%s, %s; inside %s for %s", total, ending(subject),
		    facts->in_call_function ? facts->in_call_function : "a call",
		    word_duration(facts->in_op_ns, since));
	else
		say(page, "how long", "%s, %s", total, ending(subject));
}

static void state(const struct page *page, const struct subject *subject)
{
	const struct facts *facts = &subject->facts;
	bool failed = subject->h.outcome == TLSTALL_OUTCOME_FAILED;
	const char *name = failed && facts->failed_state ? facts->failed_state : facts->state;
	char buffer[WORD_SIZE];
	const char *version = word_version(subject->h.version, buffer);

	if (!name || !*name)
		return;
	if (*version && subject->h.outcome == TLSTALL_OUTCOME_OK)
		say(page, "state", "%s, %s", name, version);
	else
		say(page, "state", "%s", name);
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

static void calls(const struct page *page, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	const char *function = subject->facts.last_function;
	char kinds[128];

	retry_kinds(h, kinds, sizeof(kinds));
	if (!h->calls) {
		say(page, "calls", "the first %s has not returned",
		    subject->facts.in_call_function ? subject->facts.in_call_function : "call");
		return;
	}
	say(page, "calls", "%u%s%s%s%s%s%s", h->calls, h->calls > 1 ? ", the last one " : " ",
	    function && *function ? function : "op", *kinds ? ", answered by " : "", kinds,
	    h->retries ? "" : ", no retry", h->longest_run >= SPIN ? ";" : "");
	if (h->longest_run >= SPIN)
		say(page, "", "%u times the same answer in a row, with no byte moved",
		    h->longest_run);
}

/* The parts of the time that matter, the longest first. */
static void time_split(const struct page *page, const struct time_split *time)
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
		say(page, "time", "%s", text);
}

/* ---- what went wrong, where in the code -------------------------------------------- */

static void reason(const struct page *page, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	const char *text = subject->facts.reason;
	char buffer[WORD_SIZE];

	if (h->outcome == TLSTALL_OUTCOME_FAILED)
		say(page, "error", "%s%s%s", word_error(h->last_error), text && *text ? ": " : "",
		    text ? text : "");
	else if (text && *text && h->ossl_error)
		say(page, "error", "%s", text);
	for (unsigned i = 0; i < h->alert_count && i < sizeof(h->alerts) / sizeof(*h->alerts); i++)
		say(page, "alert", "%s, %s, sent by %s",
		    word_alert(h->alerts[i].description, buffer),
		    word_alert_level(h->alerts[i].level), h->alerts[i].by_peer ? "the peer" : "us");
}

/* The shim's own frames, and those below main(). */
static bool is_scaffold(const struct symbol *symbol)
{
	return (symbol->module && !strncmp(symbol->module, "libtlstall", 10)) ||
	       (symbol->function && (!strncmp(symbol->function, "__libc_start", 12) ||
				     !strcmp(symbol->function, "_start")));
}

/* Of frames that have no name the innermost alone tells something: where it is. */
static void code(const struct page *page, const struct subject *subject, struct symbols *symbols)
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

		if (!symbols_find(symbols, stack.frames[i], true, &symbol) ||
		    is_scaffold(&symbol) || (shown && !symbol.function))
			continue;
		symbols_format(&symbol, stack.frames[i], text, sizeof(text));
		label(page, shown++ ? "" : "code");
		line_text(page->out, text);
		putc('\n', page->out);
	}
}

/* ---- verdict ------------------------------------------------------------------------ */

static void others(const struct page *page, const struct verdict *verdict)
{
	for (unsigned i = 0; i < verdict->not_told_from_count; i++)
		say(page, i ? "" : "or else", "%s: %s", cause_name(verdict->not_told_from[i]),
		    cause_title(verdict->not_told_from[i]));
}

/* What took time too, beside the first verdict. */
static void also(const struct page *page, const struct subject *subject)
{
	char buffer[WORD_SIZE];

	for (unsigned i = 1; i < subject->verdict_count && i < SUBJECT_VERDICTS; i++) {
		const struct verdict *verdict = &subject->verdicts[i];

		say(page, "also", "%s (%s), %s: %s", cause_name(verdict->cause),
		    fault_name(verdict->fault), word_duration(verdict->cost_ns, buffer),
		    cause_title(verdict->cause));
	}
}

void paragraph_write(FILE *out, const struct subject *subject, struct symbols *symbols, bool colour)
{
	const struct page page = {out, colour};
	const struct verdict *verdict = &subject->verdicts[0];

	headline(&page, verdict);
	who(&page, subject);
	how_long(&page, subject);
	state(&page, subject);
	calls(&page, subject);
	reason(&page, subject);
	time_split(&page, &subject->facts.time);
	code(&page, subject, symbols);
	for (unsigned i = 0; i < verdict->evidence_count && i < VERDICT_EVIDENCE; i++)
		say(&page, i ? "" : "evidence", "%s", verdict->evidence[i]);
	others(&page, verdict);
	also(&page, subject);
	if (verdict->advice && *verdict->advice)
		say(&page, "next", "%s", verdict->advice);
}
