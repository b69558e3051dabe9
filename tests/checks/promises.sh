# SPDX-License-Identifier: Apache-2.0
# Each promise of doc/RELIABILITY.md and doc/SECURITY.md names a test: the files exist, and the functions.
set -u
status=0
complain()
{
	echo "$*"
	status=1
}

# What the last cell of a row, or a line of text, has between backquotes.
quoted()
{
	grep -o '`[^`]*`' | tr -d '`' | sort -u
}

for page in doc/RELIABILITY.md doc/SECURITY.md; do
	for file in $(quoted <"$page" | grep -E '^(tests/[a-z0-9_/]+\.[a-z]+|(test|fuzz)_[a-z0-9_]+\.(py|c))$'); do
		[ -e "$file" ] || [ -n "$(find tests -name "${file##*/}" -path "*$file")" ] || complain "$page: there is no $file"
	done
	for test in $(quoted <"$page" | grep -E '^test_[a-z0-9_]+$'); do
		grep -rqE "(def|void) $test\(" tests/e2e tests/unit || complain "$page: there is no test $test"
	done
	# "file.py (`one`, `two`)": names of tests there, which may lack "test_"
	grep -oE '`[a-z0-9_/]+\.(py|c)` \((`[a-z0-9_]+`(: [^,;)]*)?(, |; )?)+' "$page" | while read -r line; do
		file=$(echo "$line" | quoted | grep '\.')
		found=$(find tests -name "${file##*/}")
		for test in $(echo "$line" | quoted | grep -v '\.' | grep _); do
			grep -qE "(def|void) (test_)?$test\(" $found || echo "$page: $file has no test $test"
		done
	done | grep . && status=1
done
exit $status
