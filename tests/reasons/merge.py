# SPDX-License-Identifier: Apache-2.0
"""merge.py TEXTS: one line per library and text, with the versions that have it."""
import sys

versions, found = [], {}
for line in open(sys.argv[1]):
    version, library, text = line.rstrip("\n").split("\t")
    if version not in versions:
        versions.append(version)
    if version not in found.setdefault((library, text), []):
        found[library, text].append(version)
print("# SPDX-License-Identifier: Apache-2.0")
print("# Reasons of OpenSSL's errors: library, text, versions that have it. Made by tests/reasons/make of:")
print("#", *versions)
for (library, text), having in sorted(found.items()):
    print(library, text, " ".join(having), sep="\t")
