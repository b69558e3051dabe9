/* SPDX-License-Identifier: Apache-2.0 */
#include "view/call.h"

#include <string.h>

/* SSL_ERROR_*, as in openssl/ssl.h, which tools do not include. */
enum {
	ERROR_WANT_READ = 2,
	ERROR_WANT_X509_LOOKUP = 4,
	ERROR_ZERO_RETURN = 6,
	ERROR_WANT_CONNECT = 7,
	ERROR_WANT_RETRY_VERIFY = 12,
};

bool call_is_retry(uint8_t error)
{
	return (error >= ERROR_WANT_READ && error <= ERROR_WANT_X509_LOOKUP) ||
	       (error >= ERROR_WANT_CONNECT && error <= ERROR_WANT_RETRY_VERIFY);
}

const char *call_error_class(struct trace *trace, const struct tlstall_event *event)
{
	enum tlstall_function_kind kind = trace_function_kind(trace, event->function);

	if (event->ret > 0)
		return "success";
	if (call_is_retry(event->error))
		return "retry";
	if (event->ret < 0)
		return "fatal";
	if (event->error == ERROR_ZERO_RETURN || kind == TLSTALL_KIND_SHUTDOWN ||
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
