# SPDX-License-Identifier: Apache-2.0
# shim/ and tools/ share only include/. The rooms of the tool are those in the ```layers block of
# doc/ARCHITECTURE.md: each may include only rooms on lower lines, and a room without "!" never prints by
# itself and never ends the program.
set -u
status=0
refuse()
{
	if grep -nE "$@"; then
		echo "^ $why"
		status=1
	fi
}

why="shim/ includes of tools/"
refuse '#[[:space:]]*include "([a-su-z]|t[a-km-z])[a-z]*/' shim/*.[chS]
why="tools/ includes of shim/"
refuse -r --include='*.[ch]' '#[[:space:]]*include.*(shim/|functions\.def)' tools
why="include/ includes more than the standard headers"
refuse -r --include='*.h' '#[[:space:]]*include[[:space:]]+("(\.\./)?(shim|tools)|<openssl)' include
why="the shim prints or ends the program it lives in"
refuse '(^|[^A-Za-z0-9_])(v?d?printf|v?fprintf|puts|perror|exit|_exit|abort|assert)[[:space:]]*\(' shim/*.c

# "LEVEL ROOM", the highest first; a room that may print ends in "!"
rooms=$(sed -n '/^```layers$/,/^```$/p' doc/ARCHITECTURE.md | grep -v '^```' | sed 's/ -- .*//' |
	awk '{ for (i = 1; i <= NF; i++) print NR, $i }')
[ "$(echo "$rooms" | wc -l)" -gt 10 ] || { echo "doc/ARCHITECTURE.md has no layers"; status=1; }

# shellcheck disable=SC2046
echo "$rooms" | awk '
	# the room of a file in tools/: its folder, the file itself, or the commands
	function room_of(path,    part) {
		if (path ~ /^(cmd_.*|main)\.[ch]$/)
			return "commands"
		if (path == "commands.def")
			return "command"
		split(path, part, /[\/.]/)
		return part[1]
	}
	FILENAME == "-" {
		room = $2
		sub(/!$/, "", room)
		level[room] = $1
		next
	}
	FNR == 1 {
		path = FILENAME
		sub(/^tools\//, "", path)
		here = room_of(path)
		if (!(here in level)) {
			print FILENAME ": its room is missing in the layers of doc/ARCHITECTURE.md"
			bad = 1
		}
	}
	/^#include "/ {
		split($0, quoted, "\"")
		there = room_of(quoted[2])
		# in the room itself, in include/, or a table of the room
		if (there == here || there == "tlstall" || (quoted[2] !~ /\// && !(there in level)))
			next
		if (!(there in level) || level[there] <= level[here]) {
			print FILENAME ":" FNR ": " here " includes " quoted[2] ", which is not below it"
			bad = 1
		}
	}
	END { exit bad }
' - $(git ls-files 'tools/*.[ch]') || status=1

# shellcheck disable=SC2046
for room in $(echo "$rooms" | sed 's/.* //' | grep -v '!$'); do
	why="$room prints or ends the program; the layers of doc/ARCHITECTURE.md do not let it"
	refuse '(^|[^A-Za-z0-9_])(std(out|err)|perror|complain|fail|usage_error)([^A-Za-z0-9_]|$)|(^|[^A-Za-z0-9_])(printf|puts|putchar|_?exit|abort|errx?|warnx?)[[:space:]]*\(' \
		$(git ls-files "tools/$room/*.c" "tools/$room.c") /dev/null
	[ -n "$(git ls-files "tools/$room/*.[ch]" "tools/$room.[ch]")" ] || { echo "no room tools/$room"; status=1; }
done
exit $status
