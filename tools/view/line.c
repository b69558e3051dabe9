/* SPDX-License-Identifier: Apache-2.0 */
/* One call as one line. See line.h. */
#include "view/line.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "view/words.h"

void line_text(FILE *out, const char *text)
{
	for (; *text; text++)
		putc_unlocked((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
}

/* ---- when and who -------------------------------------------------------- */

/* localtime_r() reads the zone's rules anew each time: once a second is enough. */
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
		fprintf(out, "%6" PRIu64 ".%06" PRIu64 " ", since / 1000000000,
			since / 1000 % 1000000);
		style->last_ns = ns;
		return;
	case LINE_TIME_SECONDS:
		fprintf(out, "%s ", clock_text((time_t)(ns / 1000000000)));
		return;
	case LINE_TIME_MICROSECONDS:
		fprintf(out, "%s.%06" PRIu64 " ", clock_text((time_t)(ns / 1000000000)),
			ns / 1000 % 1000000);
	}
}

void line_head(FILE *out, struct line_style *style, uint64_t realtime_ns, const char *comm,
	       uint32_t pid)
{
	put_time(out, style, realtime_ns);
	if (!comm)
		return;
	line_text(out, comm);
	fprintf(out, "[%u] ", pid);
}

/* ---- on what ------------------------------------------------------------- */

static bool has_descriptor(const struct tlstall_transport *transport)
{
	return transport->fd >= 0 && transport->bio_class != TLSTALL_BIO_CUSTOM;
}

static void put_transport(FILE *out, struct trace *trace, const struct tlstall_handshake *h)
{
	const char *filter = trace_string(trace, h->read.filter);

	fprintf(out, ", %s", word_bio_class(h->read.bio_class));
	if (h->read.bio_class == TLSTALL_BIO_CUSTOM) {
		putc('(', out);
		line_text(out, trace_string(trace, h->read.name));
		putc(')', out);
	}
	if (*filter) {
		fputs(" below ", out);
		line_text(out, filter);
	}
	if (has_descriptor(&h->read))
		fprintf(out, " fd=%d", h->read.fd);
	if (has_descriptor(&h->read) && h->read.blocking < 2)
		fputs(h->read.blocking ? " block" : " nonblock", out);
}

static void put_object(FILE *out, struct trace *trace, const struct tlstall_event *event,
		       const struct tlstall_handshake *h)
{
	char buffer[WORD_SIZE];
	const char *peer;

	fprintf(out, "0x%" PRIx64, event->ssl);
	if (!h || event->type != TLSTALL_EVENT_CALL)
		return;
	put_transport(out, trace, h);
	peer = word_address(&h->peer, buffer);
	if (*peer)
		fprintf(out, " %s", peer);
	if (h->sni[0]) {
		fputs(" sni=", out);
		line_text(out, h->sni);
	}
}

/* ---- with what result ------------------------------------------------------ */

/* "WANT_READ"; "" for success. */
static const char *short_error(const struct tlstall_event *event)
{
	if (!event->error || (event->flags & TLSTALL_EV_FOREIGN))
		return "";
	return word_error(event->error) + strlen("SSL_ERROR_");
}

void line_result(FILE *out, const struct tlstall_event *event)
{
	const char *error = short_error(event);

	if (event->type == TLSTALL_EVENT_GET_ERROR)
		fputs(word_error(event->error), out);
	else if (*error)
		fprintf(out, "%d %s", event->ret, error);
	else
		fprintf(out, "%d", event->ret);
}

static void put_duration(FILE *out, struct trace *trace, const struct tlstall_event *event)
{
	uint64_t ns = trace_span_ns(trace, (uint64_t)event->duration);

	fprintf(out, " <%" PRIu64 ".%06" PRIu64 ">", ns / 1000000000, ns / 1000 % 1000000);
}

/* What is worth telling of a call that went wrong: why, and what was in the queue before. */
static void put_reason(FILE *out, struct trace *trace, const struct tlstall_event *event,
		       const struct tlstall_handshake *h)
{
	if (event->flags & TLSTALL_EV_STALE_QUEUE)
		fputs(" stale-error-queue", out);
	if (!event->ossl_error)
		return;
	fprintf(out, " error:%08X", event->ossl_error);
	if (h && h->ossl_error == event->ossl_error && h->reason) {
		putc('(', out);
		line_text(out, trace_string(trace, h->reason));
		putc(')', out);
	}
}

static void put_call(FILE *out, struct trace *trace, const struct tlstall_event *event,
		     const struct tlstall_handshake *h)
{
	const char *state = trace_state_name(trace, event->state);

	fprintf(out, " retry=%u", event->retry);
	put_duration(out, trace, event);
	put_reason(out, trace, event, h);
	if (*state)
		fprintf(out, " [%s]", state);
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
	fprintf(out, "%s(", trace_function_name(trace, event->function));
	put_object(out, trace, event, h);
	if (asks)
		fprintf(out, ", %d", event->ret);
	fputs(") = ", out);
	line_result(out, event);
	if (asks) {
		fprintf(out, " retry=%u", event->retry);
		if (style->all_durations)
			put_duration(out, trace, event);
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
			symbols_find(symbols, stack.frames[i], true, &symbol);
		symbols_format(&symbol, stack.frames[i], text, sizeof(text));
		fputs(indent, out);
		line_text(out, text);
		putc('\n', out);
	}
}
