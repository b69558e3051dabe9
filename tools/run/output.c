/* SPDX-License-Identifier: Apache-2.0 */
#include "run/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "diagnosis/facts.h"
#include "run/json_lines.h"
#include "run/settings.h"
#include "view/call.h"
#include "view/record.h"
#include "view/words.h"

#define FLUSH_NS 50000000ull
#define STACK_INDENT "  > "

static uint64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- calls ----------------------------------------------------------------- */

/* Most calls come in rows: a handshake is read from the file once a tick. */
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

/* Digits in groups of three: such numbers are large. */
static void put_count(FILE *out, uint64_t count)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);

	for (int i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			putc(',', out);
		putc(digits[i], out);
	}
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
	fprintf(output->file,
		"%s(0x%" PRIx64 ") = ", trace_function_name(trace, run->event.function),
		run->event.ssl);
	line_result(output->file, &run->event);
	fputs(", repeated ", output->file);
	put_count(output->file, run->count);
	fprintf(output->file, " times in %s\n",
		word_duration(run->last_ns - run->first_ns, buffer));
}

static void print_record(struct output *output, struct followed *from,
			 const struct tlstall_event *event, uint64_t ns, uint64_t late_ns)
{
	struct symbols *symbols = output->options->stacks ? followed_symbols(from) : NULL;
	json_t *record =
		record_call(from->trace, event, handshake_of(output, from, event), symbols);

	/* the time that it was sorted by: clocks are measured ever more exactly */
	if (record)
		json_object_set_new(record, "ts_ns", json_integer((json_int_t)ns));
	if (record && late_ns)
		json_object_set_new(record, "late_ns", json_integer((json_int_t)late_ns));
	json_lines_put(output->file, record);
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
			     event->error, trace_span_ns(from->trace, (uint64_t)event->duration));
	if (options->summary || options->quiet)
		return;
	/*
	 * A thread that got no CPU between a call's return and its record may come
	 * when later ones are told already: times never go back.
	 */
	if (ns < output->last_ns)
		late_ns = output->last_ns - ns;
	ns += late_ns;
	output->last_ns = ns;
	if (options->jsonl)
		print_record(output, from, event, ns, late_ns);
	else if (fold_add(&output->fold, from, event, ns))
		print_line(output, from, event, ns);
}

/* ---- handshakes ---------------------------------------------------------------- */

static void on_handshake(void *context, struct followed *from, const struct tlstall_handshake *h,
			 const struct kernel_view *view)
{
	struct output *output = context;
	const struct neighbours *neighbours;
	struct symbols *symbols = NULL;
	struct subject subject;
	bool bad;

	subject_look(from->trace, h, view, &subject);
	if (subject_is_bad(&subject) && (neighbours = followed_neighbours(from)))
		neighbours_add(neighbours, &subject.facts);
	subject_judge(&subject);
	bad = subject_is_bad(&subject);
	if (output->options->jsonl) {
		if (bad || output->options->stacks)
			symbols = followed_symbols(from);
		json_lines_put(output->file, record_handshake(&subject, symbols));
	} else if (output->options->summary) {
		summary_handshake(&output->summary, &subject);
	} else if (bad && paragraphs_want(&output->paragraphs, &subject)) {
		paragraphs_add(&output->paragraphs, &subject, followed_symbols(from));
	}
}

/* ---- what could not be seen ------------------------------------------------------ */

static void on_lost(void *context, struct followed *from, uint64_t count)
{
	struct output *output = context;

	(void)from;
	output->lost += count;
	if (output->options->jsonl)
		json_lines_put(output->file, record_lost(count));
}

static void on_opened(void *context, struct followed *from)
{
	const struct tlstall_header *header = trace_header(from->trace);

	(void)context;
	for (unsigned i = 0; i < TLSTALL_SETTING_COUNT; i++)
		if (header->bad_settings & TLSTALL_BAD_SETTING(i))
			complain("process %d took the default for %s: its value is none of: %s",
				 (int)from->pid, setting_name(i), setting_values(i));
}

static void on_closing(void *context, struct followed *from)
{
	struct output *output = context;

	fold_forget(&output->fold, from);
	output->known_from = NULL;
}

static const char *in_words(const char *errno_name)
{
	static const struct {
		const char *name;
		int number;
	} known[] = {
		{"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EFBIG", EFBIG},   {"EACCES", EACCES},
		{"EPERM", EPERM},   {"EROFS", EROFS},	{"ENOENT", ENOENT}, {"ENOMEM", ENOMEM},
		{"EMFILE", EMFILE}, {"ENFILE", ENFILE}, {"EIO", EIO},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(known[i].name, errno_name))
			return strerror(known[i].number);
	return "the trace cannot be used";
}

static void on_failed(void *context, pid_t pid, const char *reason)
{
	struct output *output = context;

	output->untraced++;
	complain("process %d runs untraced: %s (%s)", (int)pid, in_words(reason), reason);
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
	/* standard error has it beyond output_close() */
	static char buffer[1 << 16];
	int status;

	memset(output, 0, sizeof(*output));
	output->options = options;
	if (options->jsonl)
		json_lines_begin();
	output->style = options->style;
	status = open_file(output, options->output);
	if (status)
		return status;
	/* we flush: each line whole, and not one system call for each */
	setvbuf(output->file, buffer, _IOFBF, sizeof(buffer));
	output->colour = isatty(fileno(output->file)) && !getenv("NO_COLOR");
	output->paragraphs.colour = output->colour;
	output->fold = (struct fold){.told = print_run, .context = output};
	output->sink = (struct follow_sink){
		.call = on_call,
		.handshake = on_handshake,
		.lost = on_lost,
		.opened = on_opened,
		.closing = on_closing,
		.failed = on_failed,
		.context = output,
	};
	return 0;
}

void output_tick(struct output *output)
{
	uint64_t now = realtime_ns();

	output->known_from = NULL;
	if (now - output->flush_ns > FLUSH_NS) {
		fold_flush(&output->fold, now);
		output->flush_ns = now;
	}
	fflush(output->file);
}

static void print_notes(struct output *output, unsigned seen)
{
	if (output->lost)
		fprintf(output->file,
			"tlstall: %" PRIu64 " records were overwritten before they were read "
			"(set TLSTALL_SIZE larger)\n",
			output->lost);
	if (!seen && !output->untraced && !output->options->quiet)
		fputs("tlstall: no TLS handshake was seen (tlstall check PROGRAM tells what can "
		      "be)\n",
		      output->file);
}

void output_end(struct output *output, unsigned seen)
{
	fold_flush(&output->fold, UINT64_MAX);
	if (!output->options->jsonl) {
		if (output->options->summary)
			summary_print(&output->summary, output->file);
		else
			paragraphs_print(&output->paragraphs, output->file);
		print_notes(output, seen);
	}
	fflush(output->file);
}

int output_close(struct output *output)
{
	bool bad = ferror(output->file);

	if (output->ours)
		bad |= fclose(output->file) != 0;
	fold_free(&output->fold);
	paragraphs_free(&output->paragraphs);
	if (output->options->jsonl)
		json_lines_end();
	if (bad)
		complain("what was recorded could not all be written to %s",
			 output->options->output ? output->options->output : "standard error");
	return bad ? -1 : 0;
}
