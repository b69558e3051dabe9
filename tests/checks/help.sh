# SPDX-License-Identifier: Apache-2.0
# Each subcommand of commands.def explains itself, and the README knows it.
set -u
status=0
complain()
{
	echo "$*"
	status=1
}

commands=$(sed -n 's/^COMMAND(\([a-z]*\)).*/\1/p' tools/commands.def)
[ -n "$commands" ] || complain "commands.def lists nothing"
overview=$(./tlstall --help) || complain "tlstall --help fails"
for command in $commands; do
	help=$(./tlstall "$command" --help 2>&1) || complain "tlstall $command --help fails"
	echo "$help" | grep -q "tlstall $command" || complain "tlstall $command --help has no usage"
	[ "$(echo "$help" | wc -l)" -ge 3 ] || complain "tlstall $command --help says nothing"
	echo "$overview" | grep -q "\b$command\b" || complain "tlstall --help does not list $command"
	grep -q "tlstall $command" README.md || complain "README.md does not mention tlstall $command"
	# A manual page, where there is one, names every option that --help does.
	page=doc/tlstall-$command.1
	[ -e "$page" ] || continue
	for option in $(echo "$help" | grep -oE '^ +(-[A-Za-z]+|--[a-z-]+)' | tr -d ' '); do
		sed 's/\\-/-/g' "$page" | grep -q -- "$option" || complain "$page does not know $option"
	done
done
exit $status
