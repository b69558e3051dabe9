#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the table of doc/COVERAGE.md from the tests' results.

    tests/matrix/coverage.py RESULTS... [< old] [> new]   with --write in doc/COVERAGE.md

Each RESULTS is a file that tests/e2e/conftest.py wrote to $TLSTALL_RESULTS. Exits 1 if a cell is
empty or a test failed.
"""
import argparse
import json
import pathlib
import sys

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "doc" / "COVERAGE.md"
BEGIN, END = "<!-- table: tests/matrix/coverage.py -->\n", "<!-- end of table -->\n"
COLUMNS = {"bullseye": "bullseye 1.1.1", "bookworm": "bookworm 3.0", "trixie": "trixie 3.5",
           "sid": "sid 3.6", "experimental": "experimental 4.0", "bookworm/arm64": "bookworm 3.0 arm64"}


def read(files):
    """{(way, program): {suite: [result, ...]}}, in the order of the rows."""
    rows = {}
    for file in files:
        run = json.loads(pathlib.Path(file).read_text())
        for result in run["results"]:
            row = rows.setdefault((result["way"], result["program"]), {})
            row.setdefault(run["suite"], []).append(result)
    return dict(sorted(rows.items()))


def cell(results):
    """One word for all tests of a cell: a failure takes precedence, then a pass over a skip."""
    outcomes = {r["outcome"] for r in results}
    if not results:
        return ""
    if outcomes & {"failed", "error"}:
        return "**fails**"
    if "passed" in outcomes:
        return next(r["answer"] for r in results if r["outcome"] == "passed")
    return "not here: " + results[0]["reason"]


def table(rows, suites):
    """Reasons that repeat become notes under the table."""
    notes, lines = [], []
    for (way, program), row in rows.items():
        words = []
        for suite in suites:
            word = cell(row.get(suite, []))
            if word.startswith("not here: "):
                reason = word.removeprefix("not here: ")
                if reason not in notes:
                    notes.append(reason)
                word = f"not here ({notes.index(reason) + 1})"
            words.append(word)
        lines.append(f"| {way} | {program} | " + " | ".join(words) + " |")
    head = ["| way | program | " + " | ".join(COLUMNS[s] for s in suites) + " |",
            "| --- " * (len(suites) + 2) + "|"]
    return head + lines + [""] + [f"{i}. {note}" for i, note in enumerate(notes, 1)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+")
    parser.add_argument("--write", action="store_true", help="in doc/COVERAGE.md")
    arguments = parser.parse_args()
    rows = read(arguments.results)
    ran = {suite for row in rows.values() for suite in row}
    suites = [suite for suite in COLUMNS if suite in ran]
    text = "\n".join(table(rows, suites)) + "\n"
    if arguments.write:
        document = DOCUMENT.read_text()
        before, rest = document.split(BEGIN)
        DOCUMENT.write_text(before + BEGIN + "\n" + text + "\n" + END + rest.split(END)[1])
    else:
        print(text, end="")
    wrong = [(key, suite) for key, row in rows.items() for suite in suites
             if cell(row.get(suite, [])) in ("", "**fails**")]
    for (way, program), suite in wrong:
        print(f"coverage: {way}, {program}: no answer in {suite}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
