# SPDX-License-Identifier: Apache-2.0
# No source file of the tool, and none of the shim, depends on itself through others, judging by the
# symbols of the built objects.
set -u
build=${TLSTALL_BUILD:-build}

circles()
{
	# shellcheck disable=SC2046
	symbols=$(nm -A -P $(git ls-files "$@" | sed "s,.*,$build/&.o,")) || return
	echo "$symbols" | awk '
		# "OBJECT: SYMBOL TYPE ..."
		$3 == "U" { needs[$1 " " $2] }
		$3 ~ /^[A-TV-Z]$/ { owner[$2] = $1 }
		END {
			for (need in needs) {
				split(need, part)
				if (part[2] in owner && owner[part[2]] != part[1])
					print part[1], owner[part[2]]
			}
		}' | tsort 2>&1 >/dev/null
}

found=$(circles 'tools/*.c' && circles 'shim/*.c' "shim/*_$(uname -m).S") && [ -z "$found" ] && exit 0
echo "$found" | sed "s,$build/,,; s,\.o:$,,"
exit 1
