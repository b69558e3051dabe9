/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/otlp_send.h"

/* libcurl's type checks are macros that call its functions by name. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "late.h"
#include "message.h"

/* ---- libcurl, loaded when a sender is opened --------------------------------------- */

#define CURL_FUNCTIONS \
	FUNCTION(easy_cleanup) FUNCTION(easy_getinfo) FUNCTION(easy_init) \
	FUNCTION(easy_setopt) FUNCTION(easy_strerror) FUNCTION(global_init) \
	FUNCTION(multi_add_handle) FUNCTION(multi_cleanup) FUNCTION(multi_info_read) \
	FUNCTION(multi_init) FUNCTION(multi_perform) FUNCTION(multi_poll) \
	FUNCTION(multi_remove_handle) FUNCTION(slist_append) FUNCTION(slist_free_all)

static struct {
#define FUNCTION(name) __typeof__(curl_##name) *name;
	CURL_FUNCTIONS
#undef FUNCTION
} curl;

static bool load_curl(void)
{
	static const struct late_function functions[] = {
#define FUNCTION(name) {"curl_" #name, (void **)&curl.name},
		CURL_FUNCTIONS
#undef FUNCTION
	};
	const char *why = late_load("libcurl.so.4", functions, sizeof(functions) / sizeof(*functions));

	if (why)
		complain("libcurl, which sends spans, cannot be loaded: %s", why);
	return !why;
}

#define S 1000000000ull
#define BATCH_SPANS 512u
#define BATCH_BYTES (512u << 10)
/* A batch that is not full is sent this long after its first span. */
#define BATCH_NS S
#define BATCHES 32u /* batches that may wait: 16 MB */
#define FIRST_BACKOFF_NS (S / 4)
#define LAST_BACKOFF_NS (30 * S)
#define REQUEST_MS 10000L
/* Waiting for room ends if nothing has been sent for this long. */
#define PATIENCE_NS (60 * S)

struct batch {
	unsigned char *bytes;
	size_t size, room;
	unsigned spans;
	uint64_t begun_ns;
};

struct otlp_sender {
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	struct batch batches[BATCHES]; /* a ring: the first is being sent, the last being filled */
	unsigned first, count;
	bool sending;
	uint64_t again_ns, backoff_ns, taken_ns; /* CLOCK_MONOTONIC; the last: of the last success */
	uint64_t dropped; /* spans */
	bool complained;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * S + (uint64_t)now.tv_nsec;
}

/* ---- batches ---------------------------------------------------------------------- */

static struct batch *batch_at(struct otlp_sender *s, unsigned i)
{
	return &s->batches[(s->first + i) % BATCHES];
}

static bool is_full(const struct batch *batch, size_t more)
{
	return batch->spans >= BATCH_SPANS || (batch->spans && batch->size + more > BATCH_BYTES);
}

/* The batch to be filled; NULL: no room. */
static struct batch *open_batch(struct otlp_sender *s, size_t more)
{
	struct batch *last = s->count ? batch_at(s, s->count - 1) : NULL;

	if (last && !is_full(last, more) && !(s->count == 1 && s->sending))
		return last;
	if (s->count == BATCHES)
		return NULL;
	last = batch_at(s, s->count++);
	last->size = last->spans = 0;
	last->begun_ns = now_ns();
	return last;
}

static int append(struct batch *batch, const void *bytes, size_t size)
{
	size_t room = batch->room ? batch->room : 16384;
	unsigned char *grown;

	while (room < batch->size + size)
		room *= 2;
	grown = room == batch->room ? batch->bytes : realloc(batch->bytes, room);
	if (!grown)
		return -1;
	batch->bytes = grown;
	batch->room = room;
	memcpy(batch->bytes + batch->size, bytes, size);
	batch->size += size;
	batch->spans++;
	return 0;
}

static void drop_first(struct otlp_sender *s)
{
	struct batch *batch = batch_at(s, 0);

	batch->size = batch->spans = 0;
	s->first = (s->first + 1) % BATCHES;
	s->count--;
}

/* ---- sending -------------------------------------------------------------------------- */

static size_t ignore(char *bytes, size_t size, size_t count, void *context)
{
	(void)bytes;
	(void)context;
	return size * count;
}

static void start(struct otlp_sender *s)
{
	const struct batch *batch = batch_at(s, 0);

	curl.easy_setopt(s->easy, CURLOPT_POSTFIELDS, batch->bytes);
	curl.easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)batch->size);
	s->sending = curl.multi_add_handle(s->multi, s->easy) == CURLM_OK;
}

static bool is_due(struct otlp_sender *s, uint64_t now, bool flush)
{
	const struct batch *batch = batch_at(s, 0);

	if (!s->count || s->sending || now < s->again_ns)
		return false;
	return flush || s->count > 1 || is_full(batch, 0) || now - batch->begun_ns >= BATCH_NS;
}

/* As OTLP specifies. No answer also counts as retryable. */
static bool is_to_be_repeated(CURLcode result, long status)
{
	return result != CURLE_OK || status == 429 || status == 502 || status == 503 ||
	       status == 504;
}

static void back_off(struct otlp_sender *s, const char *why)
{
	curl_off_t seconds = 0;

	curl.easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &seconds);
	s->backoff_ns = s->backoff_ns ? s->backoff_ns * 2 : FIRST_BACKOFF_NS;
	if (s->backoff_ns > LAST_BACKOFF_NS)
		s->backoff_ns = LAST_BACKOFF_NS;
	s->again_ns = now_ns() + s->backoff_ns;
	if (seconds > 0 && seconds <= 300)
		s->again_ns = now_ns() + (uint64_t)seconds * S;
	if (!s->complained)
		complain("the collector did not accept spans: %s; retrying", why);
	s->complained = true;
}

static void settle(struct otlp_sender *s, CURLcode result)
{
	char refusal[32];
	long status = 0;

	curl.easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	snprintf(refusal, sizeof(refusal), "HTTP status %ld", status);
	curl.multi_remove_handle(s->multi, s->easy);
	s->sending = false;
	if (is_to_be_repeated(result, status)) {
		back_off(s, result == CURLE_OK ? refusal : curl.easy_strerror(result));
		return;
	}
	if (status < 200 || status > 299) {
		complain("the collector refused %u spans: %s", batch_at(s, 0)->spans, refusal);
		s->dropped += batch_at(s, 0)->spans;
	}
	s->taken_ns = now_ns();
	s->backoff_ns = s->again_ns = 0;
	s->complained = false;
	drop_first(s);
}

static void drive(struct otlp_sender *s, bool flush)
{
	int running, left;
	CURLMsg *message;

	if (is_due(s, now_ns(), flush))
		start(s);
	if (!s->sending)
		return;
	curl.multi_perform(s->multi, &running);
	while ((message = curl.multi_info_read(s->multi, &left)))
		if (message->msg == CURLMSG_DONE)
			settle(s, message->data.result);
}

/* Sends until at most `count` batches wait. */
static int drive_until(struct otlp_sender *s, unsigned count, uint64_t patience_ns)
{
	uint64_t since = now_ns();

	while (s->count > count) {
		drive(s, true);
		if (s->count <= count)
			break;
		curl.multi_poll(s->multi, NULL, 0, 20, NULL);
		if (s->taken_ns > since)
			since = s->taken_ns;
		if (now_ns() - since > patience_ns) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
	return 0;
}

int otlp_sender_tick(struct otlp_sender *sender)
{
	drive(sender, false);
	return 0;
}

int otlp_sender_add(struct otlp_sender *sender, const void *bytes, size_t size, bool wait)
{
	struct batch *batch = open_batch(sender, size);

	if (!batch && wait && drive_until(sender, BATCHES / 2, PATIENCE_NS))
		return -1;
	if (!batch && wait)
		batch = open_batch(sender, size);
	if (!batch || append(batch, bytes, size)) {
		sender->dropped++;
		return 0;
	}
	drive(sender, false);
	return 0;
}

/* ---- begin and end ------------------------------------------------------------------------ */

static void add_header(struct otlp_sender *s, const char *text)
{
	struct curl_slist *headers = curl.slist_append(s->headers, text);

	if (headers)
		s->headers = headers;
}

/* "name=value,name=value", as OpenTelemetry programs take headers. */
static void add_headers(struct otlp_sender *s, const char *said)
{
	char *text = said ? strdup(said) : NULL, *rest = text, *part;

	while (text && (part = strsep(&rest, ","))) {
		char header[1024], *equals = strchr(part, '=');

		if (!equals)
			continue;
		*equals = '\0';
		snprintf(header, sizeof(header), "%s: %s", part + strspn(part, " "), equals + 1);
		add_header(s, header);
	}
	free(text);
}

static void set_up(struct otlp_sender *s, const char *url)
{
	add_header(s, "Content-Type: application/x-protobuf");
	add_headers(s, getenv("OTEL_EXPORTER_OTLP_HEADERS"));
	curl.easy_setopt(s->easy, CURLOPT_URL, url);
	curl.easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->headers);
	curl.easy_setopt(s->easy, CURLOPT_USERAGENT, "tlstall/" TLSTALL_VERSION);
	curl.easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, ignore);
	curl.easy_setopt(s->easy, CURLOPT_TIMEOUT_MS, REQUEST_MS);
	curl.easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
}

struct otlp_sender *otlp_sender_open(const char *url)
{
	struct otlp_sender *s;

	if (strncasecmp(url, "http://", 7) && strncasecmp(url, "https://", 8)) {
		errno = EINVAL;
		return NULL;
	}
	if (!load_curl()) {
		errno = ELIBACC;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	curl.global_init(CURL_GLOBAL_DEFAULT);
	s->multi = curl.multi_init();
	s->easy = curl.easy_init();
	if (s->multi && s->easy) {
		set_up(s, url);
		return s;
	}
	curl.easy_cleanup(s->easy);
	curl.multi_cleanup(s->multi);
	free(s);
	errno = ENOMEM;
	return NULL;
}

int otlp_sender_close(struct otlp_sender *sender, uint64_t patience_ns)
{
	int result = drive_until(sender, 0, patience_ns), error = errno;

	for (unsigned i = 0; i < sender->count; i++)
		sender->dropped += batch_at(sender, i)->spans;
	if (sender->dropped) {
		complain("the collector did not accept %llu spans",
			 (unsigned long long)sender->dropped);
		error = result ? error : EIO;
		result = -1;
	}
	if (sender->sending)
		curl.multi_remove_handle(sender->multi, sender->easy);
	curl.easy_cleanup(sender->easy);
	curl.multi_cleanup(sender->multi);
	curl.slist_free_all(sender->headers);
	for (unsigned i = 0; i < BATCHES; i++)
		free(sender->batches[i].bytes);
	free(sender);
	errno = error;
	return result;
}
