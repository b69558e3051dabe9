/* SPDX-License-Identifier: Apache-2.0 */
#include "run/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <stdio_ext.h>
#include <string.h>

#include "message.h"
#include "diagnosis/facts.h"
#include "now.h"
#include "run/settings.h"
#include "text/print.h"
#include "trace/directory.h"
#include "view/line.h"
#include "view/record.h"
#include "view/packed.h"
#include "words/words.h"

#define FLUSH_NS 50000000ull
#define HURRY_NS 1000000000ull
#define STACK_INDENT "  > "
#define FUNCTIONS_MAX 256

/* ---- calls ----------------------------------------------------------------- */

/* Calls of one handshake usually come in a row: it is read from the file once per tick. */
static const struct tlstall_handshake *handshake_of(struct output *output, struct followed *from,
						    const struct tlstall_event *event)
{
	if (output->known_from != from || !event->handshake ||
	    (uint32_t)output->known.number != event->handshake)
		output->known_from = followed_handshake(from, event, &output->known) ? from : NULL;
	return output->known_from ? &output->known : NULL;
}

static bool is_wanted(const struct output *output, const struct followed *from,
		      const struct tlstall_event *event)
{
	struct tlstall_process process = {0};
	struct filter_call call;

	if (event->type != TLSTALL_EVENT_CALL && event->type != TLSTALL_EVENT_GET_ERROR)
		return false;
	if (!output->options->filter.count)
		return true;
	trace_process(from->trace, event->process, &process);
	call = (struct filter_call){
		.function = trace_function_name(from->trace, event->function),
		.error = word_error(event->error),
		.pid = process.pid,
		.duration_ns = trace_span_ns(from->trace, (uint64_t)event->duration),
	};
	return filter_fits(&output->options->filter, &call);
}

static void print_line(struct output *output, struct followed *from,
		       const struct tlstall_event *event, uint64_t ns)
{
	const struct tlstall_handshake *h = handshake_of(output, from, event);
	uint32_t stack = output->options->stacks ? call_stack(from->trace, event, h) : 0;

	line_write(output->file, &output->style, from->trace, event, ns, h);
	if (stack)
		line_stack(output->file, from->trace, stack, followed_symbols(from), STACK_INDENT,
			   TLSTALL_STACK_FRAMES);
}

/* Groups digits in threes: these numbers are large. */
static void put_count(FILE *out, uint64_t count)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);

	for (int i = 0; i < length; i++)
		print(out, i && (length - i) % 3 == 0 ? ",%c" : "%c", digits[i]);
}

static void print_run(void *context, const struct fold_run *run, uint64_t now_ns)
{
	struct output *output = context;
	struct tlstall_process process = {0};
	struct trace *trace = run->from->trace;
	char buffer[WORD_SIZE];

	if (run->count == 1) {
		print_line(output, run->from, &run->event, now_ns);
		return;
	}
	trace_process(trace, run->event.process, &process);
	line_head(output->file, &output->style, now_ns, process.comm, process.pid);
	print(output->file, "%s(0x%" PRIx64 ") = ", trace_function_name(trace, run->event.function),
	      run->event.ssl);
	line_result(output->file, &run->event);
	fputs(", repeated ", output->file);
	put_count(output->file, run->count);
	print(output->file, " times in %s\n", word_duration(run->last_ns - run->first_ns, buffer));
}

static void put_record(struct output *output)
{
	output->options->format->records->put(output->records, &output->record);
}

/*
 * `ns` is the time by which events were sorted; later clock pairs would give a slightly different
 * one.
 */
static void print_record(struct output *output, struct followed *from,
			 const struct tlstall_event *event, uint64_t ns, uint64_t late_ns)
{
	struct symbols *symbols = output->options->stacks ? followed_symbols(from) : NULL;

	record_call(&output->record, from->trace, event, handshake_of(output, from, event), ns,
		    symbols);
	if (late_ns)
		member_number(&output->record, "late_ns", late_ns);
	put_record(output);
}

static bool is_too_late(const struct output *output)
{
	return output->until_ns && now_ns(CLOCK_MONOTONIC) > output->until_ns;
}

static void on_call(void *context, struct followed *from, const struct tlstall_event *event,
		    uint64_t ns)
{
	struct output *output = context;
	const struct run_options *options = output->options;
	uint64_t late_ns = 0;

	if (!is_wanted(output, from, event))
		return;
	if (options->summary)
		summary_call(&output->summary, trace_function_name(from->trace, event->function),
			     event->error, event->type != TLSTALL_EVENT_GET_ERROR,
			     trace_span_ns(from->trace, (uint64_t)event->duration));
	if (options->summary || options->quiet)
		return;
	if (is_too_late(output)) {
		output->left_out++;
		return;
	}
	/*
	 * A thread that got no CPU between a call's return and its record may come after later
	 * calls were shown. Times shown never go back.
	 */
	if (ns < output->last_ns)
		late_ns = output->last_ns - ns;
	ns += late_ns;
	output->last_ns = ns;
	if (output->records)
		print_record(output, from, event, ns, late_ns);
	else if (fold_add(&output->fold, from, event, ns))
		print_line(output, from, event, ns);
}

/* ---- handshakes ---------------------------------------------------------------- */

static void on_handshake(void *context, struct followed *from, const struct tlstall_handshake *h,
			 const struct kernel_view *view)
{
	struct output *output = context;
	const struct neighbors *neighbors;
	struct symbols *symbols = NULL;
	struct subject subject;
	bool bad;

	subject_look(from->trace, h, view, &subject);
	if (subject_is_bad(&subject) && (neighbors = followed_neighbors(from)))
		neighbors_add(neighbors, h, &subject.facts);
	subject_judge(&subject);
	bad = subject_is_bad(&subject);
	if (output->records) {
		if (bad || output->options->stacks)
			symbols = followed_symbols(from);
		record_handshake(&output->record, &subject);
		record_stack(&output->record, &subject, symbols);
		put_record(output);
	} else if (output->options->summary) {
		summary_handshake(&output->summary, &subject);
	} else if (bad && paragraphs_want(&output->paragraphs, &subject)) {
		paragraphs_add(&output->paragraphs, &subject, followed_symbols(from));
	}
	/* its calls are not recorded as events */
	if (packed_is(h) && h->end && !output->records && !output->options->summary &&
	    !output->options->quiet && !output->options->filter.count)
		packed_line(output->file, &output->style, from->trace, h);
}

/* ---- what could not be seen ------------------------------------------------------ */

static void on_lost(void *context, struct followed *from, uint64_t count)
{
	struct output *output = context;

	(void)from;
	output->lost += count;
	if (!output->records)
		return;
	record_lost(&output->record, count);
	put_record(output);
}

static void tell_unknown(const char *name, const char *near)
{
	if (near)
		complain("-e %s: no such function is recorded (did you mean '%s'?)", name, near);
	else
		complain("-e %s: no such function is recorded", name);
}

/* Which functions are recorded, only a trace tells. */
static void check_filter(struct output *output, struct trace *trace)
{
	const char *names[FUNCTIONS_MAX + 1] = {NULL};
	unsigned count = 0;

	if (output->filter_checked)
		return;
	output->filter_checked = true;
	for (unsigned id = 0; id < FUNCTIONS_MAX; id++) {
		if (trace_function_kind(trace, id) != TLSTALL_KIND_STATE && *trace_function_name(trace, id))
			names[count++] = trace_function_name(trace, id);
	}
	filter_tell_unknown(&output->options->filter, names, tell_unknown);
}

static void on_opened(void *context, struct followed *from)
{
	const struct tlstall_header *header = trace_header(from->trace);

	check_filter(context, from->trace);
	for (unsigned i = 0; i < TLSTALL_SETTING_COUNT; i++)
		if (header->bad_settings & TLSTALL_BAD_SETTING(i))
			complain("process %d uses the default for %s: invalid value (expected %s)",
				 (int)from->pid, setting_name(i), setting_values(i));
}

static void tell_left_out(const struct followed *from, uint32_t privacy)
{
	const char *comma = privacy & TLSTALL_PRIVACY_PEER ? ", " : "";

	complain("process %d: left out of its trace by TLSTALL_PRIVACY: %s%s%s%s%s", (int)from->pid,
		 privacy & TLSTALL_PRIVACY_PEER ? "peer" : "",
		 privacy & TLSTALL_PRIVACY_SNI ? comma : "",
		 privacy & TLSTALL_PRIVACY_SNI ? "sni" : "",
		 privacy & TLSTALL_PRIVACY_STACKS && privacy & 3 ? ", " : "",
		 privacy & TLSTALL_PRIVACY_STACKS ? "stacks" : "");
}

static void on_closing(void *context, struct followed *from)
{
	struct output *output = context;

	if (trace_header(from->trace)->filtered)
		complain("process %d runs under a seccomp filter, so the kernel was not asked about its "
			 "sockets (TLSTALL_SOCKET=on asks anyway; do so only if the filter allows "
			 "@system-service)", (int)from->pid);
	if (trace_header(from->trace)->preload_before)
		complain("process %d: another preloaded library with functions of libssl comes before the "
			 "shim: calls of plugins opened with RTLD_DEEPBIND may be missing (name the shim first)",
			 (int)from->pid);
	if (trace_header(from->trace)->privacy)
		tell_left_out(from, trace_header(from->trace)->privacy);
	if (from->unread)
		complain("process %d: not all of its trace could be read, so calls may be missing; the "
			 "file is kept (tlstall report %s)",
			 (int)from->pid, from->path);
	fold_forget(&output->fold, from);
	output->known_from = NULL;
}

static void on_failed(void *context, pid_t pid, const char *reason)
{
	struct output *output = context;

	output->untraced++;
	complain("process %d runs untraced: %s (%s)", (int)pid, trace_note_words(reason), reason);
}

static void on_unread(void *context, struct followed *from, const char *why)
{
	(void)context;
	complain("process %d: reading %s failed: %s (it is tried again)", (int)from->pid, from->path,
		 why);
}

/* ---- begin and end ------------------------------------------------------------------ */

static int open_file(struct output *output, const char *name)
{
	output->file = stderr;
	if (!name)
		return 0;
	if (!strcmp(name, "-")) {
		output->file = stdout;
		return 0;
	}
	output->file = fopen(name, "we");
	output->ours = output->file;
	return output->file ? 0 : fail("writing %s: %s", name, strerror(errno));
}

int output_open(struct output *output, const struct run_options *options)
{
	/* standard error still uses it after output_close() */
	static char buffer[1 << 16];
	int status;

	memset(output, 0, sizeof(*output));
	output->options = options;
	output->style = options->style;
	status = open_file(output, options->output);
	if (status)
		return status;
	/* we flush ourselves: whole lines, but not one system call each */
	setvbuf(output->file, buffer, _IOFBF, sizeof(buffer));
	if (options->format->records &&
	    !(output->records = options->format->records->begin(output->file)))
		return fail("out of memory");
	output->color = print_in_color(output->file);
	output->paragraphs.color = output->color;
	output->fold = (struct fold){.told = print_run, .context = output};
	output->sink = (struct follow_sink){
		.call = on_call,
		.handshake = on_handshake,
		.lost = on_lost,
		.opened = on_opened,
		.closing = on_closing,
		.failed = on_failed,
		.unread = on_unread,
		.context = output,
	};
	return 0;
}

void output_flush(struct output *output)
{
	if (fflush(output->file) && !output->error)
		output->error = errno;
}

void output_tick(struct output *output)
{
	uint64_t now = now_ns(CLOCK_REALTIME);

	output->known_from = NULL;
	if (now - output->flush_ns > FLUSH_NS) {
		fold_flush(&output->fold, now);
		output->flush_ns = now;
	}
	output_flush(output);
}

void output_hurry(struct output *output)
{
	if (!output->records && !output->until_ns)
		output->until_ns = now_ns(CLOCK_MONOTONIC) + HURRY_NS;
}

static void print_room(struct output *output)
{
	const char *directory = output->options->directory;
	char size[WORD_SIZE];
	unsigned count;
	uint64_t bytes;

	if (!directory || output->options->quiet)
		return;
	bytes = trace_directory_bytes(directory, &count);
	print(output->file, "tlstall: %u trace%s, %s in %s\n", count, word_s(count),
	      word_size(bytes, size), directory);
}

static bool is_off(void)
{
	const char *mode = getenv("TLSTALL_MODE");

	return mode && !strcmp(mode, "off");
}

static void print_left_out(const struct output *output)
{
	fputs("tlstall: ", output->file);
	put_count(output->file, output->left_out);
	print(output->file, " later call%s not shown, so that it ends soon ",
	      output->left_out == 1 ? " is" : "s are");
	if (output->options->directory)
		print(output->file, "(the trace in %s keeps them)\n", output->options->directory);
	else
		fputs("(-d DIR keeps a trace)\n", output->file);
}

static void print_notes(struct output *output, unsigned seen)
{
	if (output->left_out)
		print_left_out(output);
	if (output->lost)
		print(output->file,
		      "tlstall: %" PRIu64 " record%s overwritten before being read "
		      "(a larger TLSTALL_SIZE keeps more)\n",
		      output->lost, word_s(output->lost));
	if (seen || output->untraced || output->options->quiet)
		return;
	if (is_off())
		fputs("tlstall: nothing recorded, because TLSTALL_MODE is off\n", output->file);
	else
		fputs("tlstall: no TLS handshake seen (tlstall check PROGRAM says what can be "
		      "traced)\n",
		      output->file);
}

void output_end(struct output *output, unsigned seen)
{
	fold_flush(&output->fold, UINT64_MAX);
	if (!output->records) {
		if (output->options->summary && summary_print(&output->summary, output->file))
			output->error = ENOMEM;
		else if (!output->options->summary)
			paragraphs_print(&output->paragraphs, output->file);
		print_notes(output, seen);
		print_room(output);
	}
	output_flush(output);
}

int output_close(struct output *output)
{
	const char *name = output->options->output ? output->options->output : "standard error";
	bool bad;

	output_flush(output);
	if (output->records && output->options->format->records->end(output->records) &&
	    !output->error)
		output->error = ENOMEM;
	bad = ferror(output->file) || output->error;
	if (output->ours && fclose(output->file)) {
		bad = true;
		output->error = output->error ? output->error : errno;
	}
	fold_free(&output->fold);
	paragraphs_free(&output->paragraphs);
	json_line_free(&output->record);
	if (bad)
		complain("writing to %s failed, output is incomplete%s%s",
			 strcmp(name, "-") ? name : "standard output", output->error ? ": " : "",
			 output->error ? strerror(output->error) : "");
	if (bad && output->file == stdout) {
		__fpurge(stdout); /* this has been told */
		clearerr(stdout);
	}
	return bad ? -1 : 0;
}
