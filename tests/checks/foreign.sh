# SPDX-License-Identifier: Apache-2.0
# Text from a trace, process, peer or file reaches a terminal, JSON or a page only through tools/text,
# which cleans it. Nothing else may print, fill a table or screen, or make JSON strings.
set -u
status=0
others=$(find tools -name '*.c' ! -path 'tools/text/*')
refuse()
{
	if grep -nE "$1" $2; then
		echo "^ $why"
		status=1
	fi
}
but()
{
	list=$others
	for file; do
		[ -e "$file" ] || { echo "$file: named in $0, and not there"; status=1; }
		list=$(echo "$list" | grep -vxF "$file")
	done
	echo "$list"
}
word='(^|[^A-Za-z0-9_])'

why="prints past tools/text/print.h"
refuse "$word(v?f?printf|v?dprintf|perror|psignal|err|errx|warn|warnx|error)[[:space:]]*\(" "$others"
# constant texts of the tool, or embedded ones
refuse "$word(puts|fputs|fputs_unlocked)[[:space:]]*\([^\"]" "$(but tools/web/assets.c)"
refuse "$word(putchar|putc|fputc|putc_unlocked|fputc_unlocked|putwc|fputwc)[[:space:]]*\([^']" "$others"
refuse "$word(fwrite|fwrite_unlocked)[[:space:]]*\(" \
	"$(but tools/formats/jsonl.c tools/formats/perfetto.c tools/report/columns.c tools/report/packer.c tools/report/page_data.c tools/serve/agent.c tools/serve/events.c tools/serve/recent.c tools/web/assets.c)"
refuse "${word}print_ours[[:space:]]*\(" "$(but tools/message.c tools/run/paragraphs.c tools/view/paragraph.c)"
why="prints with a format that is not written there"
refuse "${word}print[[:space:]]*\([^,]*,[[:space:]]*[A-Za-z_]+[,)]" "$others"
why="fills a table past tools/text/table.h"
refuse "$word(scols_line_(set|refer)_(column_)?data|scols_cell_(set|refer)_data|scols_new_(table|line)|scols_print_table)[[:space:]]*\(" "$others"
why="writes on the screen past tools/text/screen.h"
refuse "$word(mv)?w?(addn?w?str|ins_?n?w?str|printw|vw_?printw|add_wch)[[:space:]]*\(" "$others"
why="makes JSON of a string past tools/text/json.h"
refuse "${word}(json_stringn?(_nocheck)?|json_vsprintf|json_sprintf|json_loads)[[:space:]]*\(" "$others"
refuse '"[[{][^"]*[:, []s[#%?*+]*[],}]' "$others"
exit $status
