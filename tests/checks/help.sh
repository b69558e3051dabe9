# SPDX-License-Identifier: Apache-2.0
# Each subcommand of commands.def has --help, a manual page, and a place in the README.
set -u
status=0
complain()
{
	echo "$*"
	status=1
}

# What bash completes for the last word, one completion a line.
offered()
{
	PATH=.:$PATH bash -c '. tools/completions/tlstall.bash
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_tlstall "$1" "${*: -1}" "${*: -2:1}"
		printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}

commands=$(sed -n 's/^COMMAND(\([a-z]*\)).*/\1/p' tools/commands.def)
[ -n "$commands" ] || complain "commands.def lists nothing"
[ "$(offered tlstall '' | grep -v ^- | sort)" = "$(echo "$commands" | sort)" ] || complain "completion does not offer the commands"
overview=$(./tlstall --help) || complain "tlstall --help fails"
for command in $commands; do
	help=$(./tlstall "$command" --help 2>&1) || complain "tlstall $command --help fails"
	echo "$help" | grep -q "tlstall $command" || complain "tlstall $command --help has no usage"
	[ "$(echo "$help" | wc -l)" -ge 3 ] || complain "tlstall $command --help says nothing"
	echo "$overview" | grep -q "\b$command\b" || complain "tlstall --help does not list $command"
	grep -q "tlstall $command" README.md || complain "README.md does not mention tlstall $command"
	# --help names every format that is accepted: the error for an unknown format lists them.
	if echo "$help" | grep -q -- '--format'; then
		formats=$(./tlstall "$command" --format nosuch 2>&1 | sed -n "s/.*'nosuch' (expected \(.*\))$/\1/p" | sed 's/, / /g; s/ or / /g')
		[ -n "$formats" ] || complain "tlstall $command --format nosuch does not list the formats"
		for format in $formats; do
			echo "$help" | grep -e '--format' | grep -qw "$format" || complain "tlstall $command --help does not know the format $format"
			grep -A 3 -e 'format' "doc/tlstall-$command.1" | grep -qw "$format" || complain "doc/tlstall-$command.1 does not know the format $format"
		done
	fi
	# --help lists every accepted option, and the manual page every option in --help.
	sources="tools/cmd_$command.c $(ls tools/"$command"/options.def 2>/dev/null)"
	# attach also takes the options of run
	! grep -q run_options_parse "tools/cmd_$command.c" || sources="$sources tools/run/options.def"
	# shellcheck disable=SC2086
	accepted=$(sed -nE 's/.*getopt_long\(argc, argv, "[+:]*([a-zA-Z:]*)".*/\1/p' $sources | tr -d ':' | sed 's/./-&\n/g'
		grep -ohE '\{"[a-z-]+", *(no|required|optional)_argument' $sources | sed 's/{"/--/; s/".*//'
		sed -nE "s/^OPTION\\('(.)', (\"([a-z-]+)\")?.*/-\\1 \\3/p" $sources | sed 's/ \(.\)/ --\1/'
		sed -nE 's/^OPTION\([A-Z_]+, "([a-z-]+)".*/--\1/p' $sources)
	known=$(echo "$help" | grep -E '^ +-' | grep -oE '(^ +|, )(-[A-Za-z]+|--[a-z-]+)' | tr -d ', ')
	page=doc/tlstall-$command.1
	[ -e "$page" ] || { complain "$page is missing"; continue; }
	[ -n "$accepted" ] || complain "tools/cmd_$command.c: no options found"
	for option in $accepted; do
		echo "$known" | grep -qxe "$option" || complain "tlstall $command --help does not know $option"
	done
	for option in $known; do
		sed 's/\\-/-/g' "$page" | grep -qwe "$option" || complain "$page does not know $option"
	done
	# Shells complete the same options.
	completed=$(offered tlstall "$command" -)
	for option in $known $accepted; do
		echo "$completed" | grep -qxe "$option" || complain "completion of tlstall $command does not know $option"
	done
	for option in $completed; do
		echo "$known" | grep -qxe "$option" || complain "completion of tlstall $command offers $option, which --help does not know"
	done
	grep -q "^\.BR.*tlstall-$command[ \"]" doc/tlstall.1 || complain "doc/tlstall.1 has no row of tlstall-$command"
done

# Every command mentioned in a text exists: "tlstall-NAME(1)", and in bold or as code "tlstall NAME".
for page in doc/*.[1-9] doc/*.md README.md; do
	named=$(sed 's/\\-/-/g; s/\\f[BIRP]//g' "$page" | sed -nE '
		s/.*[^a-z/-]tlstall-([a-z]+) *"?\(1\).*/\1/p
		s/^\.(B|BR|RB|BI)( "?[a-z]*"?)* "?tlstall "?([a-z]+).*/\3/p
		/^\.TH/d
		s/.*`tlstall ([a-z]+).*/\1/p
		s/^( {4}|\$ )(\.\/)?tlstall ([a-z]+).*/\3/p')
	for name in $named; do
		echo "$commands" | grep -qx "$name" || complain "$page: there is no command tlstall $name"
	done
done

# Each page is listed in tlstall(1), and each page referred to exists.
for page in doc/*.[1-9]; do
	name=$(basename "$page")
	[ "$name" = tlstall.1 ] || sed 's/\\-/-/g' doc/tlstall.1 | grep -q "${name%.?} *\"*(${name##*.})" ||
		complain "doc/tlstall.1 does not list $page"
	for named in $(sed 's/\\-/-/g' "$page" | sed -nE 's/.*(tlstall-[a-z]+)[ "]*\(([1-9])\).*/\1.\2/p'); do
		[ -e "doc/$named" ] || complain "$page: there is no page doc/$named"
	done
done
# `make install` installs the documents that pages name.
installed=$(mktemp -d)
make -s -o all install DESTDIR="$installed" PREFIX=/usr || complain "make install fails"
for page in doc/*.[1-9]; do
	for named in $(sed 's/\\-/-/g' "$page" | grep -oE '(^| )doc/[A-Za-z./]*[A-Za-z]'); do
		[ -e "$installed/usr/share/doc/tlstall/$named" ] || complain "$page: $named is not installed"
	done
done
rm -r "$installed"
version=$(sed -nE 's/^#define TLSTALL_(MAJOR|MINOR) //p' include/tlstall/trace.h | paste -sd.)
grep -q "^The version is $version\.$" doc/tlstall-trace.5 || complain "doc/tlstall-trace.5: the version is $version"
exit $status
