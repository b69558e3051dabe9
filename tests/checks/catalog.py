#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""catalog.py write|check: the table of causes in doc/DIAGNOSIS.md, from causes.def."""
import pathlib
import re
import sys

BEGIN, END = "<!-- catalog -->", "<!-- /catalog -->"
HEAD = "| cause | fault | what is wrong |\n| --- | --- | --- |\n"
DOCUMENT = pathlib.Path("doc/DIAGNOSIS.md")
ROW = re.compile(r'^CAUSE\((\w+), (\w+),\s*((?:"[^"]*"\s*)+),', re.MULTILINE)


def line(name, fault, title):
    title = "".join(re.findall(r'"([^"]*)"', title))
    return f"| [{name}](#{name.lower()}) | {fault.lower()} | {title} |\n"


def main(arguments):
    if arguments not in (["write"], ["check"]):
        print("usage: catalog.py write|check", file=sys.stderr)
        return 2
    rows = ROW.findall(pathlib.Path("tools/diagnosis/causes.def").read_text().replace('\\"', "'"))
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    wanted = f"{before}{BEGIN}\n{HEAD}{''.join(line(*row) for row in rows)}{END}{rest.split(END)[1]}"
    if arguments == ["write"]:
        DOCUMENT.write_text(wanted)
    elif text != wanted:
        print("doc/DIAGNOSIS.md: its catalog is not that of causes.def; run `make catalog`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
