/* SPDX-License-Identifier: Apache-2.0 */
/* Sends a span for each handshake to an OpenTelemetry collector: OTLP over HTTP, protobuf. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "formats/evidence.h"
#include "formats/format.h"
#include "formats/sender.h"
#include "otlp.pb-c.h"
#include "text/clean.h"
#include "tlstall/vocabulary.h"
#include "view/record.h"
#include "words/words.h"

#define ATTRIBUTES 40
#define EVENT_TEXT 128
/* The evidence with all of it escaped, and for the others more than they can take. */
#define TEXTS (CLEAN_LONGER * EVIDENCE_SIZE + 8192)
#define EVENTS 64
#define EVENT_ATTRIBUTES 2
#define BATCH_SPANS 512
#define BATCH_BYTES (512u << 10)
#define BATCH_NS 1000000000ull
#define WAITING_BYTES (16u << 20)

struct attributes {
	Otlp__KeyValue *list[ATTRIBUTES], items[ATTRIBUTES];
	Otlp__AnyValue values[ATTRIBUTES];
	size_t count;
	char texts[TEXTS]; /* one after the other, each with its NUL */
	size_t used;
};

struct event {
	Otlp__Event event;
	Otlp__KeyValue *list[EVENT_ATTRIBUTES], items[EVENT_ATTRIBUTES];
	Otlp__AnyValue values[EVENT_ATTRIBUTES];
	char name[EVENT_TEXT], text[EVENT_ATTRIBUTES][EVENT_TEXT];
};

struct otlp {
	struct sender *sender;
	struct attributes resource, span;
	struct event events[EVENTS];
	Otlp__Event *event_list[EVENTS];
	size_t event_count, events_left_out;
	unsigned char *bytes;
	size_t room;
};

/* ---- attributes ------------------------------------------------------------------------ */

static Otlp__AnyValue *add(struct attributes *to, const char *key)
{
	size_t i = to->count;

	if (i == ATTRIBUTES)
		return NULL;
	to->count++;
	otlp__key_value__init(&to->items[i]);
	otlp__any_value__init(&to->values[i]);
	to->items[i].key = (char *)key;
	to->items[i].value = &to->values[i];
	to->list[i] = &to->items[i];
	return &to->values[i];
}

/* Leaves out what is not known. */
static void add_text(struct attributes *to, const char *key, const char *text)
{
	Otlp__AnyValue *value = text && *text ? add(to, key) : NULL;

	if (!value)
		return;
	value->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	value->string_value = to->texts + to->used;
	to->used += clean_text(text, value->string_value, sizeof(to->texts) - to->used);
	to->used += to->used + 1 < sizeof(to->texts); /* its NUL */
}

static void add_number(struct attributes *to, const char *key, uint64_t number)
{
	Otlp__AnyValue *value = add(to, key);

	if (!value)
		return;
	value->value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
	value->int_value = (int64_t)number;
}

static void add_flag(struct attributes *to, const char *key, bool flag)
{
	Otlp__AnyValue *value = add(to, key);

	if (!value)
		return;
	value->value_case = OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
	value->bool_value = flag;
}

/* Writes the address without its port and brackets. */
static void add_address(struct attributes *to, const char *key, const char *port_key,
			const struct tlstall_address *address)
{
	char buffer[WORD_SIZE], host[WORD_SIZE];
	const char *text = address->family ? word_address(address, buffer) : "";
	const char *colon = address->port ? strrchr(text, ':') : NULL;
	size_t length = colon ? (size_t)(colon - text) : strlen(text);

	if (!*text)
		return;
	if (text[0] == '[' && length > 2) {
		text++;
		length -= 2;
	}
	snprintf(host, sizeof(host), "%.*s", (int)length, text);
	add_text(to, key, host);
	if (address->port)
		add_number(to, port_key, address->port);
}

/* Splits "TLSv1.2" into "tls" and "1.2". */
static void add_version(struct attributes *to, uint16_t version)
{
	char buffer[WORD_SIZE];
	const char *word = word_version(version, buffer), *number = strchr(word, 'v');

	if (!*word)
		return;
	add_text(to, "tls.protocol.name", strncmp(word, "SSL", 3) ? "tls" : "ssl");
	add_text(to, "tls.protocol.version", number ? number + 1 : word);
}

static void add_tls(struct attributes *to, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	bool client = h->role == TLSTALL_ROLE_CLIENT;

	add_version(to, h->version);
	add_text(to, "tls.cipher", trace_string(subject->trace, h->cipher));
	add_text(to, "tls.curve", trace_string(subject->trace, h->group));
	add_text(to, "tls.next_protocol", h->alpn);
	add_text(to, "tls.client.server_name", h->sni);
	add_flag(to, "tls.established", h->outcome == TLSTALL_OUTCOME_OK);
	if (h->outcome == TLSTALL_OUTCOME_OK)
		add_flag(to, "tls.resumed", h->flags & TLSTALL_HS_RESUMED);
	add_text(to, "network.type",
		 h->peer.family == AF_INET ? "ipv4" : h->peer.family == AF_INET6 ? "ipv6" : "");
	add_address(to, "network.peer.address", "network.peer.port", &h->peer);
	add_address(to, "network.local.address", "network.local.port", &h->local);
	if (client && *h->sni) {
		add_text(to, "server.address", h->sni);
		if (h->peer.port)
			add_number(to, "server.port", h->peer.port);
	} else if (h->role != TLSTALL_ROLE_UNKNOWN) {
		add_address(to, "server.address", "server.port", client ? &h->peer : &h->local);
	}
}

/* One that goes on, or that the program had no more use for, is not an error if nothing is wrong with it. */
static bool is_error(const struct subject *subject)
{
	return subject->h.outcome != TLSTALL_OUTCOME_OK && subject->verdicts[0].cause != CAUSE_NONE;
}

static void add_verdict(struct attributes *to, const struct subject *subject)
{
	const struct verdict *verdict = &subject->verdicts[0];
	const struct tlstall_handshake *h = &subject->h;
	char evidence[EVIDENCE_SIZE];

	if (is_error(subject))
		add_text(to, "error.type", cause_name(verdict->cause));
	add_text(to, "tlstall.outcome", word_outcome(h->outcome));
	add_text(to, "tlstall.cause", cause_name(verdict->cause));
	add_text(to, "tlstall.fault", fault_name(verdict->fault));
	add_text(to, "tlstall.confidence", confidence_name(verdict->confidence));
	add_text(to, "tlstall.evidence", evidence_text(verdict, evidence));
	add_text(to, "tlstall.advice", verdict->advice);
	add_number(to, "tlstall.handshake", record_handshake_id(subject->trace, h->number));
	add_number(to, "tlstall.calls", h->calls);
	add_number(to, "tlstall.retries", h->retries);
	add_number(to, "tlstall.bytes_in", h->bytes_in);
	add_number(to, "tlstall.bytes_out", h->bytes_out);
}

/* ---- events --------------------------------------------------------------------------------- */

static struct event *add_event(struct otlp *otlp, const char *name, uint64_t ns)
{
	struct event *event = &otlp->events[otlp->event_count];

	if (otlp->event_count == EVENTS) {
		otlp->events_left_out++;
		return NULL;
	}
	otlp__event__init(&event->event);
	clean_text(name, event->name, sizeof(event->name));
	event->event.name = event->name;
	event->event.time_unix_nano = ns;
	event->event.attributes = event->list;
	otlp->event_list[otlp->event_count++] = &event->event;
	return event;
}

static void tell_event(struct event *event, const char *key, const char *text)
{
	size_t i = event->event.n_attributes++;

	otlp__key_value__init(&event->items[i]);
	otlp__any_value__init(&event->values[i]);
	clean_text(text, event->text[i], sizeof(event->text[i]));
	event->values[i].value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	event->values[i].string_value = event->text[i];
	event->items[i].key = (char *)key;
	event->items[i].value = &event->values[i];
	event->list[i] = &event->items[i];
}

static void add_states(struct otlp *otlp, const struct subject *subject, uint64_t start_ns)
{
	const struct tlstall_handshake *h = &subject->h;

	for (unsigned i = 0; i < h->state_count && i < TLSTALL_STATES; i++) {
		uint64_t at = trace_span_ns(subject->trace, TLSTALL_STATE_TICKS(h->states[i]));
		struct event *event = add_event(otlp, "tls.state", start_ns + at);

		if (event)
			tell_event(event, "tls.state.name",
				   trace_state_name(subject->trace, TLSTALL_STATE_ID(h->states[i])));
	}
}

static void add_retries(struct otlp *otlp, const struct gathered *gathered, uint64_t start_ns)
{
	const struct subject *subject = gathered->subject;

	for (size_t i = 0; i < gathered->call_count; i++) {
		const struct gathered_call *call = &gathered->calls[i];
		uint64_t at = gathered_after_ns(gathered, call->ticks + call->duration);
		struct event *event = tlstall_is_retry(call->error)
					      ? add_event(otlp, "tls.retry", start_ns + at)
					      : NULL;

		if (!event)
			continue;
		tell_event(event, "code.function.name",
			   trace_function_name(subject->trace, call->function));
		tell_event(event, "error.type", word_error(call->error));
	}
}

/* ---- the span ------------------------------------------------------------------------------------ */

/*
 * FNV-1a over what distinguishes one handshake from all others: sending it again uses the same ids.
 */
static uint64_t hash(uint64_t seed, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < size; i++)
		seed = (seed ^ at[i]) * 0x100000001b3ull;
	return seed;
}

static void make_ids(const struct subject *subject, uint64_t start_ns, uint64_t ids[3])
{
	const struct tlstall_header *header = trace_header(subject->trace);
	uint64_t what[] = {subject->process.pid, header->start_time, header->image,
			   subject->h.number, start_ns};

	for (unsigned i = 0; i < 3; i++) {
		ids[i] = hash(0xcbf29ce484222325ull + i, header->host, strlen(header->host));
		ids[i] = hash(ids[i], what, sizeof(what)) | 1; /* an id must not be 0 */
	}
}

static Otlp__SpanKind kind_of(uint8_t role)
{
	if (role == TLSTALL_ROLE_CLIENT)
		return OTLP__SPAN_KIND__SPAN_KIND_CLIENT;
	return role == TLSTALL_ROLE_SERVER ? OTLP__SPAN_KIND__SPAN_KIND_SERVER
					   : OTLP__SPAN_KIND__SPAN_KIND_INTERNAL;
}

static void fill_resource(struct attributes *to, const struct subject *subject)
{
	const struct tlstall_header *header = trace_header(subject->trace);

	to->count = to->used = 0;
	add_text(to, "service.name", subject->process.comm);
	add_text(to, "host.name", header->host);
	add_number(to, "process.pid", subject->process.pid);
	add_text(to, "process.executable.path", header->program);
}

static int send_span(struct otlp *otlp, Otlp__Span *span)
{
	Otlp__Scope scope = OTLP__SCOPE__INIT;
	Otlp__ScopeSpans scope_spans = OTLP__SCOPE_SPANS__INIT, *scope_list = &scope_spans;
	Otlp__Resource resource = OTLP__RESOURCE__INIT;
	Otlp__ResourceSpans resource_spans = OTLP__RESOURCE_SPANS__INIT, *list = &resource_spans;
	Otlp__ExportTraceServiceRequest request = OTLP__EXPORT_TRACE_SERVICE_REQUEST__INIT;
	unsigned char *bytes;
	size_t size;

	scope.name = "tlstall";
	scope.version = TLSTALL_VERSION;
	scope_spans.scope = &scope;
	scope_spans.spans = &span;
	scope_spans.n_spans = 1;
	resource.attributes = otlp->resource.list;
	resource.n_attributes = otlp->resource.count;
	resource_spans.resource = &resource;
	resource_spans.scope_spans = &scope_list;
	resource_spans.n_scope_spans = 1;
	request.resource_spans = &list;
	request.n_resource_spans = 1;
	size = otlp__export_trace_service_request__get_packed_size(&request);
	bytes = size > otlp->room ? realloc(otlp->bytes, size) : otlp->bytes;
	if (!bytes)
		return -1;
	otlp->bytes = bytes;
	otlp->room = size > otlp->room ? size : otlp->room;
	otlp__export_trace_service_request__pack(&request, bytes);
	return sender_add(otlp->sender, bytes, size);
}

static int put(void *context, const struct gathered *gathered, const char *label)
{
	struct otlp *otlp = context;
	const struct subject *subject = gathered->subject;
	uint64_t start_ns = trace_start_ns(subject->trace, &subject->h), ids[3];
	Otlp__Span span = OTLP__SPAN__INIT;
	Otlp__Status status = OTLP__STATUS__INIT;

	(void)label;
	make_ids(subject, start_ns, ids);
	fill_resource(&otlp->resource, subject);
	otlp->span.count = otlp->span.used = otlp->event_count = otlp->events_left_out = 0;
	add_tls(&otlp->span, subject);
	add_verdict(&otlp->span, subject);
	add_states(otlp, subject, start_ns);
	add_retries(otlp, gathered, start_ns);
	span.trace_id = (ProtobufCBinaryData){16, (uint8_t *)ids};
	span.span_id = (ProtobufCBinaryData){8, (uint8_t *)&ids[2]};
	span.name = "TLS handshake";
	span.kind = kind_of(subject->h.role);
	span.start_time_unix_nano = start_ns;
	span.end_time_unix_nano = start_ns + subject->facts.time.total_ns;
	span.attributes = otlp->span.list;
	span.n_attributes = otlp->span.count;
	span.events = otlp->event_list;
	span.n_events = otlp->event_count;
	span.dropped_events_count = (uint32_t)otlp->events_left_out;
	span.status = &status;
	if (is_error(subject)) {
		status.code = OTLP__STATUS_CODE__STATUS_CODE_ERROR;
		status.message = (char *)cause_title(subject->verdicts[0].cause);
	}
	return send_span(otlp, &span);
}

/* ---- begin and end ---------------------------------------------------------------------------------- */

/* The character that "%20" stands for; NUL: these are not such digits. */
static char coded(const char *at)
{
	char digits[3] = "";

	if (*at != '%' || !isxdigit((unsigned char)at[1]) || !isxdigit((unsigned char)at[2]))
		return '\0';
	memcpy(digits, at + 1, 2);
	return (char)strtoul(digits, NULL, 16);
}

static void decode_percent(char *text)
{
	char *to = text, character;

	for (const char *at = text; *at; at += character ? 3 : 1) {
		character = coded(at);
		*to++ = character ? character : *at;
	}
	*to = '\0';
}

/* "name=value,name=value", with percent-encoded values, as OpenTelemetry programs take headers. */
static int add_headers(struct sender *sender, const char *said)
{
	char *text = strdup(said ? said : ""), *rest = text, *part;
	int result = text ? 0 : -1;

	while (!result && (part = strsep(&rest, ","))) {
		char *equals = strchr(part, '=');

		if (!equals)
			continue;
		*equals = '\0';
		decode_percent(equals + 1);
		result = sender_header(sender, part + strspn(part, " "), equals + 1);
	}
	free(text);
	return result;
}

/* As OTLP specifies. */
static enum http_result judge(long status)
{
	bool later = status == 429 || status == 502 || status == 503 || status == 504;

	return later ? HTTP_NOTHING : HTTP_REFUSED;
}

/* An answer that is cut or no message refuses nothing, as far as is known. */
static uint64_t refused(const void *answer, size_t answer_size, char *why, size_t size)
{
	Otlp__ExportTraceServiceResponse *response =
		otlp__export_trace_service_response__unpack(NULL, answer_size, answer);
	const Otlp__PartialSuccess *partial = response ? response->partial_success : NULL;
	int64_t count = partial ? partial->rejected_spans : 0;

	if (partial)
		snprintf(why, size, "%s", partial->error_message);
	if (response)
		otlp__export_trace_service_response__free_unpacked(response, NULL);
	return count > 0 ? (uint64_t)count : 0;
}

static void *begin(const struct export_target *target)
{
	const struct sender_options options = {
		.target = {target->path, "the collector", "spans", judge, refused},
		.spool = {.bytes = WAITING_BYTES,
			  .batch_bytes = BATCH_BYTES,
			  .batch_items = BATCH_SPANS,
			  .batch_ns = BATCH_NS},
		.patient = !target->follows,
	};
	struct otlp *otlp = calloc(1, sizeof(*otlp));
	int error;

	if (!otlp)
		return NULL;
	otlp->sender = sender_open(&options);
	if (otlp->sender && !sender_header(otlp->sender, "Content-Type", "application/x-protobuf") &&
	    !add_headers(otlp->sender, getenv("OTEL_EXPORTER_OTLP_HEADERS")))
		return otlp;
	error = errno;
	if (otlp->sender)
		sender_close(otlp->sender, false);
	free(otlp);
	errno = error;
	return NULL;
}

static int tick(void *context)
{
	struct otlp *otlp = context;

	sender_tick(otlp->sender);
	return 0;
}

static int end(void *context, bool whole)
{
	struct otlp *otlp = context;
	int result = sender_close(otlp->sender, whole), error = errno;

	free(otlp->bytes);
	free(otlp);
	errno = error;
	return result;
}

const struct format format_otlp = {
	.name = "otlp",
	.kind = FORMAT_EXPORT,
	.export = &(const struct format_export){.calls = true,
						.needs_path = true,
						.streams = true,
						.begin = begin,
						.handshake = put,
						.tick = tick,
						.end = end},
};
