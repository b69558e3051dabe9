#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""confusion.py RESULTS DOCUMENT: writes the confusion table into the document.

RESULTS is what the tests of causes appended to the file named by TLSTALL_CONFUSION: one reproduction
a line, run in mode `all` and in mode `watch`. See `make confusion`.
"""
import json
import pathlib
import re
import sys

BEGIN, END = "<!-- confusion -->", "<!-- /confusion -->"
HEAD = """| program | what is wrong | cause | fault | while it hangs | at the end | in mode `watch` |
| --- | --- | --- | --- | --- | --- | --- |
"""
MODES = ("all", "watch")


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


def cells_of(row):
    return [cell(row, row["live"]), cell(row, row["final"])]


def compared(row, watched):
    """What mode watch says about it, if that differs."""
    if not watched:
        return "(not run)"
    names = ("hanging", "at the end")
    others = [f"{name}: {there}" for name, here, there in zip(names, cells_of(row), cells_of(watched)) if here != there]
    return "; ".join(others) or "the same"


def line(row, watched):
    cause = row["cause"] + (f", then {row['also']}" if row["also"] else "")
    cells = [row["program"], row["what"], cause, row["fault"], *cells_of(row), compared(row, watched)]
    return "| " + " | ".join(cells) + " |\n"


def count(rows):
    unknown = [r for r in rows if any(v[0] == "UNKNOWN" for v in verdicts(r))]
    wrong = [r for r in rows if r not in unknown and not all(is_right(r, v) for v in verdicts(r))]
    return f"{len(rows) - len(unknown) - len(wrong)} right, {len(wrong)} wrong, {len(unknown)} UNKNOWN"


RANK = ("low", "medium", "high")


def knows_less(row, watched):
    return watched and any(here and there and RANK.index(there[2]) < RANK.index(here[2])
                           for here, there in ((row[when], watched[when]) for when in ("live", "final")))


def summary(rows, watched):
    causes = {r["cause"] for r in rows} | {r["also"] for r in rows if r["also"]}
    less = sum(bool(knows_less(r, watched.get(r["name"]))) for r in rows)
    return (f"{len(rows)} reproductions of {len(causes)} causes: {count(rows)}. In mode `watch`, which asks the kernel "
            f"only about handshakes that are late or fail: {count(list(watched.values()))}; {less} with lower confidence.\n\n")


def table(rows, watched):
    rows = sorted(rows, key=lambda row: (row["cause"], row["program"], row["what"]))
    return summary(rows, watched) + HEAD + "".join(line(row, watched.get(row["name"])) for row in rows)


def rows_of_document(text):
    """(program, what is wrong) for each row."""
    block = text.split(BEGIN)[1].split(END)[0]
    rows = [re.split(r" \| ", row.strip("| ")) for row in block.splitlines() if row.startswith("| ")]
    return {(cells[0], cells[1]) for cells in rows[2:]}


def main(arguments):
    if len(arguments) != 2:
        print("usage: confusion.py RESULTS DOCUMENT", file=sys.stderr)
        return 2
    # the last run of each counts
    rows = {mode: {} for mode in MODES}
    for row in map(json.loads, open(arguments[0])):
        rows[row["mode"]][row["name"]] = row
    document = pathlib.Path(arguments[1])
    before, rest = document.read_text().split(BEGIN)
    made = table(rows["all"].values(), rows["watch"])
    document.write_text(f"{before}{BEGIN}\n{made}{END}{rest.split(END)[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
