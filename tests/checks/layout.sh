# SPDX-License-Identifier: Apache-2.0
# Checks the top of the tree, the length of sources and of their functions in C, and their license lines.
set -u
status=0
complain()
{
	echo "$*"
	status=1
}

expected="Makefile README.md LICENSE shim include tools tests doc debian"
tracked=$(git ls-files 2>/dev/null)
[ -n "$tracked" ] || exit 77 # an archive without history
for name in $(echo "$tracked" | sed 's,/.*,,' | sort -u); do
	case " $expected " in
	*" $name "*) ;;
	*) case $name in .*) ;; *) complain "$name: not expected at the top" ;; esac ;;
	esac
done
for name in $expected .clang-format .ci/run doc/ARCHITECTURE.md doc/CONTRIBUTING.md doc/FORMAT.md; do
	[ -e "$name" ] || complain "$name: missing"
done

# Sources are recognized by their suffix, scripts without one by their mode.
sources=$({
	echo "$tracked" | grep -E '\.(c|cpp|h|S|def|py|sh|pl|rb|php|awk|mk|js|css|html)$|^Makefile$'
	git ls-files --stage | sed -n 's/^100755 .*	//p'
} | sort -u)
for file in $sources; do
	lines=$(wc -l <"$file")
	[ "$lines" -le 560 ] || complain "$file: $lines lines; split it"
	head -n 4 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || complain "$file: no SPDX line"
done
long=$(awk '/^\{$/ { start = FNR } /^\}$/ && start { lines = FNR - start - 1
	if (lines > 48) print FILENAME ":" start ": a function of " lines " lines; split it"
	start = 0 }' $(echo "$sources" | grep -E '\.(c|h)$'))
[ -z "$long" ] || complain "$long"
exit $status
