# SPDX-License-Identifier: Apache-2.0
# What lies at the top of the tree, and that no file of ours grows too long.
set -u
status=0
complain()
{
	echo "$*"
	status=1
}

expected="Makefile README.md LICENSE shim include tools tests doc"
tracked=$(git ls-files 2>/dev/null)
[ -n "$tracked" ] || exit 77 # an archive without its history
for name in $(echo "$tracked" | sed 's,/.*,,' | sort -u); do
	case " $expected " in
	*" $name "*) ;;
	*) case $name in .*) ;; *) complain "$name: not expected at the top" ;; esac ;;
	esac
done
for name in $expected .clang-format .ci/run doc/ARCHITECTURE.md doc/CONTRIBUTING.md doc/FORMAT.md; do
	[ -e "$name" ] || complain "$name: missing"
done

for file in $(echo "$tracked" | grep -E '^(shim|tools|include)/.*\.(c|h|S|def)$'); do
	lines=$(wc -l <"$file")
	[ "$lines" -lt 600 ] || complain "$file: $lines lines; split it"
done
for file in $(echo "$tracked" | grep -E '\.(c|h|S|py|sh|pl|rb|php|awk|mk|def)$|/run$|run-all$'); do
	head -n 4 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || complain "$file: no SPDX line"
done
exit $status
