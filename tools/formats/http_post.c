/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/http_post.h"

/* libcurl's type checks are macros that call its functions by name. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "late.h"
#include "message.h"
#include "now.h"

/* ---- libcurl, loaded when it is needed --------------------------------------- */

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

static bool load_curl(const char *what)
{
	static const struct late_function functions[] = {
#define FUNCTION(name) {"curl_" #name, (void **)&curl.name},
		CURL_FUNCTIONS
#undef FUNCTION
	};
	const char *why = late_load("libcurl.so.4", functions, sizeof(functions) / sizeof(*functions));

	if (why)
		complain("libcurl, which sends %s, cannot be loaded: %s", what, why);
	return !why;
}

#define S 1000000000ull
#define FIRST_BACKOFF_NS (S / 4)
#define LAST_BACKOFF_NS (30 * S)
#define REQUEST_MS 30000L
#define ANSWER 4096
#define SHOWN 255 /* bytes of its first line */

struct http_post {
	struct http_target target;
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	bool sending, complained;
	uint64_t again_ns, backoff_ns; /* CLOCK_MONOTONIC */
	char body[ANSWER], answer[SHOWN + 41];
	size_t body_size;
};

/* ---- one request ---------------------------------------------------------------------- */

/* The first line of the answer may give the reason. */
static size_t read_answer(char *bytes, size_t size, size_t count, void *context)
{
	struct http_post *post = context;
	size_t room = ANSWER - 1 - post->body_size, part = size * count;

	part = part < room ? part : room;
	memcpy(post->body + post->body_size, bytes, part);
	post->body_size += part;
	return size * count;
}

bool http_post_is_free(const struct http_post *post)
{
	return !post->sending && now_ns(CLOCK_MONOTONIC) >= post->again_ns;
}

void http_post_start(struct http_post *post, const void *bytes, size_t size)
{
	post->body_size = 0;
	curl.easy_setopt(post->easy, CURLOPT_POSTFIELDS, bytes);
	curl.easy_setopt(post->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
	curl.easy_setopt(post->easy, CURLOPT_HTTPHEADER, post->headers);
	post->sending = curl.multi_add_handle(post->multi, post->easy) == CURLM_OK;
}

/* With jitter, so that a fleet does not come back all at once. */
static void back_off(struct http_post *post)
{
	curl_off_t seconds = 0;

	curl.easy_getinfo(post->easy, CURLINFO_RETRY_AFTER, &seconds);
	post->backoff_ns = post->backoff_ns ? post->backoff_ns * 2 : FIRST_BACKOFF_NS;
	if (post->backoff_ns > LAST_BACKOFF_NS)
		post->backoff_ns = LAST_BACKOFF_NS;
	post->again_ns = now_ns(CLOCK_MONOTONIC) + post->backoff_ns / 4 * 3 +
			 (uint64_t)random() % (post->backoff_ns / 4);
	if (seconds > 0 && seconds <= 300)
		post->again_ns = now_ns(CLOCK_MONOTONIC) + (uint64_t)seconds * S;
	if (!post->complained)
		complain("%s did not accept %s: %s; retrying", post->target.whom,
			 post->target.what, post->answer);
	post->complained = true;
}

static long read_status(struct http_post *post, CURLcode result)
{
	long status = 0;

	curl.easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
	post->body[post->body_size] = '\0';
	if (result != CURLE_OK)
		snprintf(post->answer, sizeof(post->answer), "%s", curl.easy_strerror(result));
	else
		snprintf(post->answer, sizeof(post->answer), "HTTP status %ld%s%.*s", status,
			 *post->body ? ": " : "", (int)strcspn(post->body, "\r\n"), post->body);
	return result == CURLE_OK ? status : 0;
}

static enum http_result settle(struct http_post *post, CURLcode result)
{
	long status = read_status(post, result);
	enum http_result verdict = HTTP_NOTHING;

	if (status)
		verdict = status >= 200 && status <= 299 ? HTTP_TAKEN : post->target.judge(status);
	curl.multi_remove_handle(post->multi, post->easy);
	post->sending = false;
	if (verdict == HTTP_TAKEN || verdict == HTTP_REFUSED) {
		post->backoff_ns = post->again_ns = 0;
		post->complained = false;
	} else {
		back_off(post);
	}
	return verdict;
}

enum http_result http_post_step(struct http_post *post)
{
	int running, left;
	CURLMsg *message;

	if (!post->sending)
		return HTTP_NOTHING;
	curl.multi_perform(post->multi, &running);
	while ((message = curl.multi_info_read(post->multi, &left)))
		if (message->msg == CURLMSG_DONE)
			return settle(post, message->data.result);
	return HTTP_NOTHING;
}

void http_post_wait(struct http_post *post, int ms)
{
	curl.multi_poll(post->multi, NULL, 0, ms, NULL);
}

uint64_t http_post_refused(struct http_post *post)
{
	if (!post->target.refused)
		return 0;
	return post->target.refused(post->body, post->body_size, post->answer, sizeof(post->answer));
}

const char *http_post_answer(const struct http_post *post)
{
	return post->answer;
}

/* ---- begin and end ------------------------------------------------------------------------ */

void http_post_header(struct http_post *post, const char *text)
{
	struct curl_slist *headers = curl.slist_append(post->headers, text);

	if (headers)
		post->headers = headers;
}

static void set_up(struct http_post *post)
{
	http_post_header(post, "Expect:"); /* do not ask before sending a large request */
	curl.easy_setopt(post->easy, CURLOPT_URL, post->target.url);
	curl.easy_setopt(post->easy, CURLOPT_USERAGENT, "tlstall/" TLSTALL_VERSION);
	curl.easy_setopt(post->easy, CURLOPT_WRITEFUNCTION, read_answer);
	curl.easy_setopt(post->easy, CURLOPT_WRITEDATA, post);
	curl.easy_setopt(post->easy, CURLOPT_TIMEOUT_MS, REQUEST_MS);
	curl.easy_setopt(post->easy, CURLOPT_NOSIGNAL, 1L);
	srandom((unsigned)now_ns(CLOCK_MONOTONIC));
}

bool http_is_url(const char *text)
{
	return !strncasecmp(text, "http://", 7) || !strncasecmp(text, "https://", 8);
}

struct http_post *http_post_open(const struct http_target *target)
{
	struct http_post *post;

	if (!http_is_url(target->url)) {
		errno = EINVAL;
		return NULL;
	}
	if (!load_curl(target->what)) {
		errno = ELIBACC;
		return NULL;
	}
	post = calloc(1, sizeof(*post));
	if (!post)
		return NULL;
	post->target = *target;
	curl.global_init(CURL_GLOBAL_DEFAULT);
	post->multi = curl.multi_init();
	post->easy = curl.easy_init();
	if (post->multi && post->easy) {
		set_up(post);
		return post;
	}
	http_post_close(post);
	errno = ENOMEM;
	return NULL;
}

void http_post_close(struct http_post *post)
{
	if (!post)
		return;
	if (post->sending)
		curl.multi_remove_handle(post->multi, post->easy);
	curl.easy_cleanup(post->easy);
	curl.multi_cleanup(post->multi);
	curl.slist_free_all(post->headers);
	free(post);
}
