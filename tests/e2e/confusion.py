#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""confusion.py RESULTS DOCUMENT: puts the confusion table into the document.

RESULTS is what the tests of causes appended to the file that TLSTALL_CONFUSION
names: one reproduction a line. See `make confusion`.
"""
import json
import pathlib
import re
import sys

BEGIN, END = "<!-- confusion -->", "<!-- /confusion -->"
HEAD = """| program | what is wrong | cause | fault | while it hangs | at the end |
| --- | --- | --- | --- | --- | --- |
"""


def is_right(row, verdict):
    cause, fault, _, others = verdict
    return (cause, fault) == (row["cause"], row["fault"]) and (
        not row["also"] or row["also"] in others)


def verdicts(row):
    return [row[when] for when in ("live", "final") if row[when]]


def cell(row, verdict):
    if not verdict:
        return "(does not hang)"
    cause, fault, confidence, _ = verdict
    return f"right, {confidence}" if is_right(row, verdict) else f"**{cause}, {fault}**"


def line(row):
    cause = row["cause"] + (f", then {row['also']}" if row["also"] else "")
    cells = [row["program"], row["what"], cause, row["fault"], cell(row, row["live"]),
             cell(row, row["final"])]
    return "| " + " | ".join(cells) + " |\n"


def summary(rows):
    unknown = [r for r in rows if any(v[0] == "UNKNOWN" for v in verdicts(r))]
    wrong = [r for r in rows if r not in unknown and not all(is_right(r, v) for v in verdicts(r))]
    right = len(rows) - len(unknown) - len(wrong)
    causes = {r["cause"] for r in rows} | {r["also"] for r in rows if r["also"]}
    return (f"{len(rows)} reproductions of {len(causes)} causes: {right} right, {len(wrong)} wrong, "
            f"{len(unknown)} UNKNOWN.\n\n")


def table(rows):
    rows = sorted(rows, key=lambda row: (row["cause"], row["program"], row["what"]))
    return summary(rows) + HEAD + "".join(map(line, rows))


def rows_of_document(text):
    """(program, what is wrong) of each row."""
    block = text.split(BEGIN)[1].split(END)[0]
    rows = [re.split(r" \| ", row.strip("| ")) for row in block.splitlines() if row.startswith("| ")]
    return {(cells[0], cells[1]) for cells in rows[2:]}


def main(arguments):
    if len(arguments) != 2:
        print("usage: confusion.py RESULTS DOCUMENT", file=sys.stderr)
        return 2
    # the last run of each counts
    rows = {row["name"]: row for row in map(json.loads, open(arguments[0]))}
    document = pathlib.Path(arguments[1])
    before, rest = document.read_text().split(BEGIN)
    document.write_text(f"{before}{BEGIN}\n{table(rows.values())}{END}{rest.split(END)[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
