# SPDX-License-Identifier: Apache-2.0
# shim/ and tools/ share include/ and nothing else; the tool's libraries know
# no command, never print and never end the program.
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
refuse '#[[:space:]]*include.*(tools/|trace/|diagnosis/|symbols/|kernel/|view/|web/|command\.h)' shim/*.[chS]
why="tools/ includes of shim/"
refuse -r --include='*.[ch]' '#[[:space:]]*include.*(shim/|functions\.def)' tools
why="include/ includes more than the standard headers"
refuse -r --include='*.h' '#[[:space:]]*include[[:space:]]+("(\.\./)?(shim|tools)|<openssl)' include

libraries=
for library in trace diagnosis symbols kernel; do
	[ -d tools/$library ] && libraries="$libraries tools/$library"
done
why="a library of the tool includes a command, or a room above it"
refuse -r --include='*.[ch]' '#[[:space:]]*include "(command\.h|view/|web/|cmd_)' $libraries
why="a library of the tool prints or exits"
refuse -r --include='*.c' '(^|[^A-Za-z0-9_])(printf|puts|putchar|perror|exit|abort|_exit|err|errx|warn|warnx|complain|fail|v?fprintf *\( *std(err|out))\(' $libraries
why="the trace library knows the diagnosis"
refuse -r --include='*.[ch]' '#[[:space:]]*include "(diagnosis|kernel|symbols)/' tools/trace
why="the shim prints or ends the program it lives in"
refuse '(^|[^A-Za-z0-9_])(v?d?printf|v?fprintf|puts|perror|exit|_exit|abort|assert)[[:space:]]*\(' shim/*.c
exit $status
