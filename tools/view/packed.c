/* SPDX-License-Identifier: Apache-2.0 */
#include "view/packed.h"

#include <inttypes.h>

#include "text/print.h"
#include "tlstall/vocabulary.h"
#include "words/words.h"

static uint32_t count_of(const struct tlstall_handshake *h)
{
	return h->calls < TLSTALL_PACKED ? h->calls : TLSTALL_PACKED;
}

/* ---- text --------------------------------------------------------------------- */

static void put_call(FILE *out, struct trace *trace, uint64_t word)
{
	uint64_t ns = trace_span_ns(trace, TLSTALL_PACK_DURATION(word));
	uint8_t error = TLSTALL_PACK_ERROR(word);

	print(out, " %s = ", trace_function_name(trace, TLSTALL_PACK_FUNCTION(word)));
	if (error)
		print_text(out, word_error_short(error));
	else
		print(out, "%d", TLSTALL_PACK_RET(word));
	print(out, " <%" PRIu64 ".%06" PRIu64 ">", ns / 1000000000, ns / 1000 % 1000000);
}

void packed_line(FILE *out, struct line_style *style, struct trace *trace,
		 const struct tlstall_handshake *h)
{
	struct tlstall_process process = {0};
	char buffer[WORD_SIZE];

	trace_process(trace, h->process, &process);
	line_head(out, style, trace_realtime_ns(trace, h->end), process.comm, process.pid);
	print(out, "handshake(0x%" PRIx64 ", %s, %s", h->ssl, word_role(h->role),
	      word_bio_class(h->read.bio_class));
	if (h->read.fd >= 0 && tlstall_has_descriptor(&h->read))
		print(out, " fd=%d", h->read.fd);
	if (h->sni[0]) {
		fputs(" sni=", out);
		print_text(out, h->sni);
	}
	print(out, ") = ok in %s:",
	      word_duration(trace_span_ns(trace, h->end - h->start), buffer));
	for (uint32_t i = 0; i < count_of(h); i++)
		put_call(out, trace, h->packed[i]);
	if (h->calls > TLSTALL_PACKED)
		print(out, " and %u more call%s", h->calls - TLSTALL_PACKED,
		      word_s(h->calls - TLSTALL_PACKED));
	putc('\n', out);
}

/* ---- JSON --------------------------------------------------------------------- */

static void set_call(struct json_line *record, struct trace *trace, uint64_t word, uint32_t retry,
		     uint64_t at)
{
	member_object(record, NULL);
	member_text(record, "fn", trace_function_name(trace, TLSTALL_PACK_FUNCTION(word)));
	member_signed(record, "ret", TLSTALL_PACK_RET(word));
	member_text(record, "error", word_error(TLSTALL_PACK_ERROR(word)));
	member_number(record, "retry", retry);
	member_number(record, "at_ns", trace_span_ns(trace, at));
	member_number(record, "duration_ns", trace_span_ns(trace, TLSTALL_PACK_DURATION(word)));
	member_text(record, "state", trace_state_name(trace, TLSTALL_PACK_STATE(word)));
	member_end(record);
}

void packed_record(struct json_line *record, struct trace *trace, const struct tlstall_handshake *h)
{
	uint64_t at = 0;

	member_array(record, "call_log");
	for (uint32_t i = 0; i < count_of(h); i++) {
		at += TLSTALL_PACK_GAP(h->packed[i]);
		set_call(record, trace, h->packed[i], i, at);
		at += TLSTALL_PACK_DURATION(h->packed[i]);
	}
	member_end(record);
}
