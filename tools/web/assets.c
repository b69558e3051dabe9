/* SPDX-License-Identifier: Apache-2.0 */
/* Embeds the viewer's files by the assembler's .incbin (paths from the top of the tree), and joins
 * them. */
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "web/assets.h"

#ifndef CHART_JS
#define CHART_JS "/usr/share/javascript/chart.js/chart.min.js"
#endif

#define EMBED(name, path)                                                                          \
	__asm__(".pushsection .rodata.web,\"a\",%progbits\n"                                       \
		".hidden web_" #name "\n.globl web_" #name "\n"                                    \
		"web_" #name ": .incbin \"" path "\"\n"                                            \
		".byte 0\n"                                                                        \
		".popsection\n");                                                                  \
	extern const char web_##name[]

EMBED(index, "tools/web/index.html");
EMBED(style, "tools/web/style.css");
EMBED(chart_library, CHART_JS);
EMBED(data, "tools/web/data.js");
EMBED(filter, "tools/web/filter.js");
EMBED(list, "tools/web/list.js");
EMBED(charts, "tools/web/charts.js");
EMBED(waterfall, "tools/web/waterfall.js");
EMBED(detail, "tools/web/detail.js");
EMBED(live, "tools/web/live.js");
EMBED(app, "tools/web/app.js");

/* In the order in which they must run. */
static const char *const scripts[] = {web_chart_library, web_data,	web_filter, web_list,
				      web_charts,	 web_waterfall, web_detail, web_live,
				      web_app};

struct page_parts {
	char nonce[33];
	char policy[WEB_POLICY_SIZE];
	const char *kind; /* of page, as it names itself */
	void (*data)(void *context, FILE *out);
	void *context;
};

static int make_nonce(char nonce[33])
{
	uint64_t random[2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -1;
	snprintf(nonce, 33, "%016llx%016llx", (unsigned long long)random[0],
		 (unsigned long long)random[1]);
	return 0;
}

static void write_scripts(FILE *out)
{
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		fputs(scripts[i], out);
		fputc('\n', out);
	}
}

static void make_policy(struct page_parts *parts, const char *connect)
{
	snprintf(parts->policy, sizeof(parts->policy),
		 "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; img-src data:; "
		 "connect-src %s; base-uri 'none'; form-action 'none'",
		 parts->nonce, parts->nonce, connect);
}

/* What stands at `place` in the template; returns how much of the template it replaces. */
static size_t write_part(const struct page_parts *parts, const char *place, FILE *out)
{
	static const char *const names[] = {"@NONCE@", "@STYLE@", "@DATA@",
					    "@SCRIPTS@", "@POLICY@", "@KIND@"};
	const unsigned count = sizeof(names) / sizeof(*names);
	unsigned i = 0;

	while (i < count && strncmp(place, names[i], strlen(names[i])))
		i++;
	if (i == 0)
		fputs(parts->nonce, out);
	else if (i == 1)
		fputs(web_style, out);
	else if (i == 2 && parts->data)
		parts->data(parts->context, out);
	else if (i == 3)
		write_scripts(out);
	else if (i == 4)
		fputs(parts->policy, out);
	else if (i == 5)
		fputs(parts->kind, out);
	else if (i == count)
		fputc('@', out);
	return i < count ? strlen(names[i]) : 1;
}

static void write_parts(const struct page_parts *parts, FILE *out)
{
	const char *at = web_index;

	for (const char *place; (place = strchr(at, '@'));
	     at = place + write_part(parts, place, out))
		fwrite(at, 1, (size_t)(place - at), out);
	fputs(at, out);
}

int web_page_write(FILE *out, void (*data)(void *context, FILE *out), void *context)
{
	struct page_parts parts = {.kind = "report", .data = data, .context = context};

	if (make_nonce(parts.nonce) < 0)
		return -1;
	make_policy(&parts, "'none'");
	write_parts(&parts, out);
	return 0;
}

static void write_source(void *context, FILE *out)
{
	(void)context;
	fputs("<script type=\"text/plain\" id=\"live\">events</script>", out);
}

int web_live_write(FILE *out, char policy[WEB_POLICY_SIZE])
{
	struct page_parts parts = {.kind = "live", .data = write_source};

	if (make_nonce(parts.nonce) < 0)
		return -1;
	make_policy(&parts, "'self'");
	write_parts(&parts, out);
	/* a page cannot say of itself that it is not to be framed */
	snprintf(policy, WEB_POLICY_SIZE, "%.400s; frame-ancestors 'none'", parts.policy);
	return 0;
}
