/* SPDX-License-Identifier: Apache-2.0 */
/* What the page needs words for: the verdicts and alerts of one handshake, as JSON. */
#include <errno.h>
#include <jansson.h>

#include "report/page_data.h"
#include "text/json.h"
#include "words/words.h"

static json_t *verdict_json(struct page *page, const struct verdict *verdict)
{
	json_t *evidence = json_array(), *others = json_array();

	for (unsigned i = 0; i < verdict->evidence_count && i < VERDICT_EVIDENCE; i++)
		page_append(page, evidence, json_text(verdict->evidence[i]));
	for (unsigned i = 0; i < verdict->not_told_from_count && i < VERDICT_NOT_TOLD_FROM; i++)
		page_append(page, others, json_integer(verdict->not_told_from[i]));
	return json_pack("{s:i, s:i, s:i, s:I, s:o, s:o, s:o}", "cause", (int)verdict->cause,
			 "fault", (int)verdict->fault, "confidence", (int)verdict->confidence,
			 "cost", (json_int_t)verdict->cost_ns, "evidence", evidence,
			 "not_told_from", others, "advice", json_text(verdict->advice));
}

static json_t *alert_json(const struct tlstall_alert *alert)
{
	char text[WORD_SIZE];

	return json_pack("{s:f, s:o, s:o}", "at", alert->at_us * 1e3, "by",
			 json_text(alert->by_peer ? "peer" : "us"), "description",
			 json_text(word_alert(alert->description, text)));
}

static json_t *detail_json(struct page *page, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	json_t *verdicts = json_array(), *alerts = json_array();

	for (unsigned i = 0; i < subject->verdict_count; i++)
		page_append(page, verdicts, verdict_json(page, &subject->verdicts[i]));
	for (unsigned i = 0; i < h->alert_count && i < 4; i++)
		page_append(page, alerts, alert_json(&h->alerts[i]));
	return json_pack("{s:o, s:o}", "verdicts", verdicts, "alerts", alerts);
}

int page_add_evidence(struct page *page, size_t row, const struct gathered *gathered)
{
	long at = ftell(page->evidence);
	json_t *detail;
	int result;

	if (gathered->row->cause == CAUSE_NONE && !(gathered->row->flags & ROW_TROUBLED) &&
	    !gathered->subject->h.alert_count)
		return 0;
	detail = detail_json(page, gathered->subject);
	if (!detail)
		return -1;
	errno = 0;
	result = json_dumpf(detail, page->evidence, JSON_COMPACT);
	page->failed |= errno == ENOMEM; /* as in page_data.c */
	json_decref(detail);
	result |= column_add(&page->evidence_row, (double)row);
	result |= column_add(&page->evidence_at, (double)at);
	return result;
}
