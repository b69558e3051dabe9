/* SPDX-License-Identifier: Apache-2.0 */
#include "live/stack.h"

#include <errno.h>
#include <string.h>

#include "text/print.h"
#include "trace/host.h"
#include "view/line.h"

static const char *whose_fd(const struct kernel_view *view)
{
	return view->wait == TLSTALL_WAIT_ON_SOCKET ? ", the handshake's own"
	       : view->wait == TLSTALL_WAIT_OTHER_FD && view->own_fd >= 0
		       ? ", not the handshake's"
		       : "";
}

void stack_where(pid_t pid, pid_t tid, int own_fd, const struct unwound *unwound, char *buffer,
		 size_t size)
{
	struct kernel_view view;

	thread_wait_at(pid, tid, &unwound->place, own_fd, &view);
	if (view.wait == TLSTALL_WAIT_GONE)
		snprintf(buffer, size, "has ended");
	else if (view.wait == TLSTALL_WAIT_STOPPED)
		snprintf(buffer, size, "is stopped%s%s", view.syscall[0] ? ", in " : "",
			 view.syscall);
	else if (view.wait == TLSTALL_WAIT_RUNNING || !unwound->count)
		snprintf(buffer, size, "is running");
	else if (view.syscall[0] && view.fd >= 0)
		snprintf(buffer, size, "waits in %s(), descriptor %d%s", view.syscall, view.fd,
			 whose_fd(&view));
	else if (view.syscall[0])
		snprintf(buffer, size, "waits in %s()", view.syscall);
	else
		snprintf(buffer, size, "waits in the kernel, not in a system call");
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
		print(out, "%s#%-2u ", indent, i);
		print_text(out, text);
		putc('\n', out);
	}
	if (unwound->count && !unwound->whole)
		print(out, "%s(more frames need the thread's registers: tlstall stack --ptrace)\n",
		      indent);
}

/* Functions of the shim that replace OpenSSL's have this prefix. */
#define OUR_PREFIX "record_"

static const char *name_of(struct symbols *symbols, const struct unwound *unwound, unsigned i)
{
	struct symbol symbol = {0};

	symbols_find(symbols, unwound->frames[i], i > 0, &symbol);
	/* show our wrapper under the name that the program called */
	if (symbol.function && !strncmp(symbol.function, OUR_PREFIX, strlen(OUR_PREFIX)))
		return symbol.function + strlen(OUR_PREFIX);
	return symbol.function ? symbol.function : symbol.module;
}

/*
 * The outermost function of libssl, 0: none. The program's own frames are those after it. Without
 * the shim, the function that was called may have left its frame to the next one.
 */
static unsigned find_op(const struct unwound *unwound, struct symbols *symbols)
{
	for (unsigned i = unwound->count; i-- > 1;) {
		const char *name = name_of(symbols, unwound, i);

		if (name && (!strncmp(name, "SSL_", 4) || !strncmp(name, "DTLSv1_", 7) ||
			     !strncmp(name, "libssl.", 7)))
			return i;
	}
	return 0;
}

void stack_join(const struct unwound *unwound, struct symbols *symbols, char *text, size_t size)
{
	unsigned op = find_op(unwound, symbols);
	const char *before = NULL;
	size_t length = 0;

	text[0] = '\0';
	for (unsigned i = 0; i <= op; i++) {
		const char *name = name_of(symbols, unwound, i);
		size_t need = name ? strlen(name) + 3 : 0;

		if (!name || (before && !strcmp(name, before)))
			continue;
		before = name;
		/* if space is short, leave out other frames rather than the entry into OpenSSL */
		if (length + need + 40 >= size && i != op)
			continue;
		if (length + need < size)
			length += (size_t)snprintf(text + length, size - length, "%s%s",
						   length ? " < " : "", name);
	}
	if (!op)
		text[0] = '\0';
}

static bool is_in_libssl(const struct unwound *unwound, struct symbols *symbols)
{
	struct symbol symbol;

	for (unsigned i = 0; i < unwound->count; i++) {
		symbol = (struct symbol){0};
		symbols_find(symbols, unwound->frames[i], i > 0, &symbol);
		if (symbol.module && !strncmp(symbol.module, "libssl.", 7))
			return true;
	}
	return find_op(unwound, symbols);
}

/* Whether the handshake was where the subject says when its stack was taken. */
static bool is_of_one_moment(const struct subject *subject, const struct unwound *unwound,
			     struct symbols *symbols)
{
	struct tlstall_handshake now;

	/* nobody counts its calls, but its stack shows whether it is in one */
	if (subject->facts.looked)
		return !unwound->whole || !symbols ||
		       is_in_libssl(unwound, symbols) == subject->facts.entered;
	return !trace_handshake(subject->trace, subject->slot, &now) &&
	       now.number == subject->h.number && now.enter == subject->h.enter &&
	       now.leave == subject->h.leave;
}

const char *stack_when(const struct subject *subject, const struct unwound *unwound,
		       struct symbols *symbols)
{
	return !unwound->count || is_of_one_moment(subject, unwound, symbols)
		       ? ""
		       : " (seen a moment later: the handshake keeps moving)";
}

int stack_explain(struct subject *subject, struct symbols *symbols, struct unwound *out, char *text,
		  size_t size)
{
	struct unwinder *unwinder = unwind_open(subject->pid_here);
	int result;

	*out = (struct unwound){0};
	if (!unwinder)
		return -1;
	result = unwind_thread(unwinder, host_thread(subject->pid_here, (pid_t)subject->h.tid),
			       false, out);
	unwind_close(unwinder);
	if (!result && out->place.where == THREAD_DENIED) {
		errno = EPERM;
		return -1;
	}
	if (result || !out->count || !symbols || !subject->facts.in_op_ns ||
	    !is_of_one_moment(subject, out, symbols))
		return result;
	stack_join(out, symbols, text, size);
	if (*text)
		subject->facts.stack_symbols = text;
	subject_judge(subject);
	return 0;
}
