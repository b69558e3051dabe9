# SPDX-License-Identifier: Apache-2.0
# Completion for bash. What it offers is what `tlstall --help` and `tlstall COMMAND --help` say.

# "OPTION VALUES" for each option that the help on standard input explains.
_tlstall_options()
{
	awk '/^ +-/ {
		sub(/^ +/, ""); sub(/  .*/, ""); gsub(/,/, "")
		value = ""
		for (i = NF; i > 0; i--) if ($i !~ /^-/) value = $i
		for (i = 1; i <= NF; i++) if ($i ~ /^-/) print $i, value
	}'
}

_tlstall_positional()
{
	local usage=${1%%$'\n'*} word=$2

	case $usage in
	*\[on\|off*) compgen -W "$(sed -nE '1s/.* \[([a-z|]+)\].*/\1/; 1s/\|/ /gp' <<<"$1")" -- "$word" ;;
	esac
	case $usage in
	*" PID"* | *"|PID"* | *"[PID]"*) (cd /proc && compgen -G "$word[0-9]*") ;;
	esac
	case $usage in
	*PROGRAM*) compgen -c -- "$word" ;;
	esac
}

_tlstall()
{
	local tool=$1 word=$2 previous=$3 command=${COMP_WORDS[1]} help values words

	[ "$word" != = ] || word=
	[ "$previous" != = ] || previous=${COMP_WORDS[COMP_CWORD - 2]}
	if [ "$COMP_CWORD" = 1 ]; then
		words=$(compgen -W "--help --version $("$tool" --help 2>/dev/null |
			sed -n 's/^  \([a-z]*\) .*/\1/p')" -- "$word")
	elif help=$("$tool" "$command" --help 2>/dev/null); then
		values=$(_tlstall_options <<<"$help" | awk -v option="$previous" '$1 == option { print $2; exit }')
		case $values in
		"" | *[!a-z\|]*) ;;
		*) words=$(compgen -W "${values//|/ }" -- "$word") ;;
		esac
		if [ -z "$values" ] && [[ $word = -* && $previous != -- ]]; then
			words=$(compgen -W "$(_tlstall_options <<<"$help" | cut -d' ' -f1)" -- "$word")
		elif [ -z "$values" ]; then
			words=$(_tlstall_positional "$help" "$word")
		fi
	fi
	mapfile -t COMPREPLY < <(printf '%s' "$words")
}

complete -o default -F _tlstall tlstall
