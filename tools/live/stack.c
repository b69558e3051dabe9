/* SPDX-License-Identifier: Apache-2.0 */
#include "live/stack.h"

#include <errno.h>
#include <string.h>

#include "view/line.h"

static const char *whose_fd(enum wait_kind wait)
{
	return wait == WAIT_ON_SOCKET  ? ", the handshake's own"
	       : wait == WAIT_OTHER_FD ? ", not the handshake's"
				       : "";
}

void stack_where(const struct kernel_view *view, const struct unwound *unwound, char *buffer,
		 size_t size)
{
	if (view->wait == WAIT_GONE)
		snprintf(buffer, size, "has ended");
	else if (view->wait == WAIT_STOPPED)
		snprintf(buffer, size, "is stopped%s%s", view->syscall[0] ? ", in " : "",
			 view->syscall);
	else if (view->wait == WAIT_RUNNING || !unwound->count)
		snprintf(buffer, size, "is running");
	else if (view->syscall[0] && view->fd >= 0)
		snprintf(buffer, size, "waits in %s(), descriptor %d%s", view->syscall, view->fd,
			 whose_fd(view->wait));
	else if (view->syscall[0])
		snprintf(buffer, size, "waits in %s()", view->syscall);
	else
		snprintf(buffer, size, "waits in the kernel, in no system call");
}

void stack_write(FILE *out, const struct unwound *unwound, struct symbols *symbols,
		 const char *indent)
{
	for (unsigned i = 0; i < unwound->count; i++) {
		struct symbol symbol = {0};
		char text[256];

		if (symbols)
			symbols_find(symbols, unwound->frames[i], i > 0, &symbol);
		symbols_format(&symbol, unwound->frames[i], text, sizeof(text));
		fprintf(out, "%s#%-2u ", indent, i);
		line_text(out, text);
		putc('\n', out);
	}
	if (unwound->count && !unwound->whole)
		fprintf(out, "%s(the rest needs the thread's registers: tlstall stack --ptrace)\n",
			indent);
}

/* "read < BIO_read < ...", as the facts want it. */
static void join(const struct unwound *unwound, struct symbols *symbols, char *text, size_t size)
{
	size_t length = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < unwound->count && length < size; i++) {
		struct symbol symbol = {0};

		symbols_find(symbols, unwound->frames[i], i > 0, &symbol);
		if (symbol.function || symbol.module)
			length += (size_t)snprintf(
				text + length, size - length, "%s%s", length ? " < " : "",
				symbol.function ? symbol.function : symbol.module);
	}
}

int stack_explain(struct subject *subject, struct symbols *symbols, struct unwound *out, char *text,
		  size_t size)
{
	struct unwinder *unwinder = unwind_open((pid_t)subject->process.pid);
	int result;

	*out = (struct unwound){0};
	if (!unwinder)
		return -1;
	result = unwind_thread(unwinder, (pid_t)subject->h.tid, false, out);
	unwind_close(unwinder);
	if (!result && out->place.where == THREAD_DENIED) {
		errno = EPERM;
		return -1;
	}
	if (result || !out->count || !symbols || !subject->facts.in_op_ns)
		return result;
	join(out, symbols, text, size);
	subject->facts.stack_symbols = text;
	subject->verdict_count = diagnose(&subject->facts, subject->verdicts, SUBJECT_VERDICTS);
	return 0;
}
