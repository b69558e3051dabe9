/* SPDX-License-Identifier: Apache-2.0 */
/* One call as one line. See line.h. */
#include "view/line.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "text/print.h"
#include "tlstall/vocabulary.h"
#include "words/words.h"

/* ---- when and who -------------------------------------------------------- */

/* localtime_r() reads the time zone's rules each time: once a second is enough. */
static const char *clock_text(time_t second)
{
	static time_t known = -1;
	static char text[16];
	struct tm tm;

	if (second != known && localtime_r(&second, &tm)) {
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
		known = second;
	}
	return text;
}

static void put_time(FILE *out, struct line_style *style, uint64_t ns)
{
	uint64_t since = style->last_ns && ns > style->last_ns ? ns - style->last_ns : 0;

	switch (style->time) {
	case LINE_TIME_RELATIVE:
		print(out, "%6" PRIu64 ".%06" PRIu64 " ", since / 1000000000,
		      since / 1000 % 1000000);
		style->last_ns = ns;
		return;
	case LINE_TIME_SECONDS:
		print(out, "%s ", clock_text((time_t)(ns / 1000000000)));
		return;
	case LINE_TIME_MICROSECONDS:
		print(out, "%s.%06" PRIu64 " ", clock_text((time_t)(ns / 1000000000)),
		      ns / 1000 % 1000000);
	}
}

void line_head(FILE *out, struct line_style *style, uint64_t realtime_ns, const char *comm,
	       uint32_t pid)
{
	put_time(out, style, realtime_ns);
	if (!comm)
		return;
	print_text(out, comm);
	print(out, "[%u] ", pid);
}

/* ---- on what ------------------------------------------------------------- */

static void put_transport(FILE *out, struct trace *trace, const struct tlstall_handshake *h)
{
	const char *filter = trace_string(trace, h->read.filter);

	print(out, ", %s", word_bio_class(h->read.bio_class));
	if (h->read.bio_class == TLSTALL_BIO_CUSTOM) {
		putc('(', out);
		print_text(out, trace_string(trace, h->read.name));
		putc(')', out);
	}
	if (*filter) {
		fputs(" below ", out);
		print_text(out, filter);
	}
	if (h->read.fd < 0 || !tlstall_has_descriptor(&h->read))
		return;
	print(out, " fd=%d", h->read.fd);
	if (h->read.blocking < 2)
		print_text(out, h->read.blocking ? " block" : " nonblock");
}

static void put_object(FILE *out, struct trace *trace, const struct tlstall_event *event,
		       const struct tlstall_handshake *h)
{
	char buffer[WORD_SIZE];
	const char *peer;

	print(out, "0x%" PRIx64, event->ssl);
	if (!h || event->type != TLSTALL_EVENT_CALL)
		return;
	put_transport(out, trace, h);
	peer = word_address(&h->peer, buffer);
	if (*peer)
		print(out, " %s", peer);
	if (h->sni[0]) {
		fputs(" sni=", out);
		print_text(out, h->sni);
	}
}

/* ---- of what kind --------------------------------------------------------- */

const char *call_error_class(struct trace *trace, const struct tlstall_event *event)
{
	enum tlstall_function_kind kind = trace_function_kind(trace, event->function);

	if (event->ret > 0)
		return "success";
	if (tlstall_is_retry(event->error))
		return "retry";
	if (event->ret < 0)
		return "fatal";
	if (event->error == TLSTALL_ERROR_ZERO_RETURN || kind == TLSTALL_KIND_SHUTDOWN ||
	    kind <= TLSTALL_KIND_DO_HANDSHAKE)
		return "shutdown";
	return "fatal";
}

uint32_t call_stack(struct trace *trace, const struct tlstall_event *event,
		    const struct tlstall_handshake *h)
{
	const char *class;

	if (!h || event->type != TLSTALL_EVENT_CALL)
		return 0;
	if (event->ticks == h->start)
		return h->stack_first;
	class = call_error_class(trace, event);
	return strcmp(class, "success") && strcmp(class, "retry") ? h->stack_fail : 0;
}

/* ---- with what result ------------------------------------------------------ */

/* "WANT_READ"; "" for success. */
static const char *short_error(const struct tlstall_event *event)
{
	if (!event->error || (event->flags & TLSTALL_EV_FOREIGN))
		return "";
	return word_error_short(event->error);
}

void line_result(FILE *out, const struct tlstall_event *event)
{
	const char *error = short_error(event);

	if (event->type == TLSTALL_EVENT_GET_ERROR)
		print_text(out, word_error(event->error));
	else if (*error)
		print(out, "%d %s", event->ret, error);
	else
		print(out, "%d", event->ret);
}

static void put_duration(FILE *out, struct trace *trace, const struct tlstall_event *event)
{
	uint64_t ns = trace_span_ns(trace, (uint64_t)event->duration);

	print(out, " <%" PRIu64 ".%06" PRIu64 ">", ns / 1000000000, ns / 1000 % 1000000);
}

/* Why a call went wrong, and what was in the error queue before it. */
static void put_reason(FILE *out, struct trace *trace, const struct tlstall_event *event,
		       const struct tlstall_handshake *h)
{
	if (event->flags & TLSTALL_EV_STALE_QUEUE)
		fputs(" stale-error-queue", out);
	if (!event->ossl_error)
		return;
	print(out, " error:%08X", event->ossl_error);
	if (h && h->ossl_error == event->ossl_error && h->reason) {
		putc('(', out);
		print_text(out, trace_string(trace, h->reason));
		putc(')', out);
	}
}

static void put_call(FILE *out, struct trace *trace, const struct tlstall_event *event,
		     const struct tlstall_handshake *h)
{
	const char *state = trace_state_name(trace, event->state);

	print(out, " retry=%u", event->retry);
	put_duration(out, trace, event);
	put_reason(out, trace, event, h);
	if (*state)
		print(out, " [%s]", state);
}

void line_write(FILE *out, struct line_style *style, struct trace *trace,
		const struct tlstall_event *event, uint64_t realtime_ns,
		const struct tlstall_handshake *h)
{
	bool asks = event->type == TLSTALL_EVENT_GET_ERROR;
	struct tlstall_process process = {0};

	if (!asks && event->type != TLSTALL_EVENT_CALL)
		return;
	trace_process(trace, event->process, &process);
	line_head(out, style, realtime_ns, process.comm, process.pid);
	print(out, "%s(", trace_function_name(trace, event->function));
	put_object(out, trace, event, h);
	if (asks)
		print(out, ", %d", event->ret);
	fputs(") = ", out);
	line_result(out, event);
	if (asks) {
		/* how long it took is not recorded */
		print(out, " retry=%u", event->retry);
	} else {
		put_call(out, trace, event, h);
	}
	putc('\n', out);
}

/* ---- where in the code -------------------------------------------------------- */

void line_stack(FILE *out, struct trace *trace, uint32_t id, struct symbols *symbols,
		const char *indent, unsigned room)
{
	struct tlstall_stack stack;
	char text[256];

	if (!id || trace_stack(trace, id, &stack))
		return;
	for (uint32_t i = 0; i < stack.count && i < TLSTALL_STACK_FRAMES && i < room; i++) {
		struct symbol symbol = {0};

		if (symbols)
			symbols_find_frame(symbols, &stack, i, &symbol);
		symbols_format(&symbol, stack.frames[i], text, sizeof(text));
		print_text(out, indent);
		print_text(out, text);
		putc('\n', out);
	}
}
