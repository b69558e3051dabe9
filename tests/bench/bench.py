# SPDX-License-Identifier: Apache-2.0
"""make bench: measures every figure, prints the table, writes JSON, compares with an earlier run."""
import argparse
import json
import os
import platform
import subprocess
import sys
import time

import measures
import nginx
from common import ROOT
from goals import FIGURES

MEASURES = [
    measures.calls, measures.calls_watch, measures.calls_by_tsc, measures.instructions, measures.memory,
    measures.threads, measures.reader, measures.run, measures.html, measures.report,
    measures.handshake_memory, measures.handshake_tcp, measures.handshake_memory_watch,
    measures.handshake_tcp_watch, measures.startup, measures.in_flight,
    measures.one_handshake, measures.system_calls, nginx.ab, nginx.wrk, nginx.steady, nginx.first,
]


def machine():
    text = open("/proc/cpuinfo", encoding="ascii").read()
    model = next((line.split(": ")[1] for line in text.splitlines() if "model name" in line), "")
    clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    version = subprocess.run(["openssl", "version"], text=True, stdout=subprocess.PIPE, check=False)
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(),
            "clock": open(clock, encoding="ascii").read().strip(),
            "openssl": version.stdout.strip()}


def take(only, keep):
    """All rows, and why some are missing. Results are saved after each measurement."""
    rows, missing = {}, []
    for measure in MEASURES:
        name = f"{measure.__module__}.{measure.__name__}"
        if only and only not in name:
            continue
        start = time.monotonic()
        try:
            rows.update(measure())
        except Exception as why:  # the other figures are still wanted
            missing.append(f"{name}: {type(why).__name__}: {why}")
        keep(rows, missing)
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    return rows, missing


# ---- the table ----------------------------------------------------------------------

def number(value):
    if value is None:
        return ""
    return f"{value:,.2f}" if abs(value) < 1000 else f"{value:,.0f}"


def result(figure, row):
    value = row.get("difference", row.get("value"))
    spread = f" [{number(row['low'])} .. {number(row['high'])}]" if "low" in row else ""
    return f"{number(value)}{spread}"


def goal(figure):
    if figure.must is None:
        return ""
    sign = ">=" if figure.at_least else "<="
    stretch = f" ({number(figure.stretch)})" if figure.stretch is not None else ""
    return f"{sign} {number(figure.must)}{stretch}"


def table(rows):
    yield "figure", "unit", "plain", "with shim", "difference [95 %]", "must (stretch)", ""
    for figure in FIGURES:
        row = rows.get(figure.key)
        if row is None:
            yield figure.title, figure.unit, "", "", "not taken", goal(figure), ""
            continue
        yield (figure.title, figure.unit, number(row.get("plain")), number(row.get("traced")),
               result(figure, row), goal(figure), figure.verdict(row))


def print_table(lines):
    lines = list(lines)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        cells = [text.ljust(w) if i < 2 else text.rjust(w)
                 for i, (text, w) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())


# ---- the table of doc/PERFORMANCE.md -----------------------------------------------------

BEGIN, END = "<!-- make bench: begin -->\n", "<!-- make bench: end -->\n"


def floors(rows):
    return [f"{key[7:]} {rows[key]['value']:.1f}" for key in rows if key.startswith("floor: ")]


def markdown(here, rows):
    yield f"{here['cpu']}, {here['cpus']} CPUs, Linux {here['kernel']}, {here['openssl']}, clock {here['clock']}."
    yield f"Floors in ns: {', '.join(floors(rows))}."
    yield ""
    heads, *lines = table(rows)
    for cells in heads, ["---", "---", *["---:"] * 4, "---"], *lines:
        cells = [cell.replace("NOT MET", "**not met**") for cell in cells]
        if cells[0].startswith("  "):
            cells[0] = f"… {cells[0].strip()}"
        yield f"| {' | '.join(cells)} |"


def write_markdown(path, lines):
    """Between the two marks in that file."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    path.write_text(before + BEGIN + "".join(f"{line}\n" for line in lines) + END + rest.split(END)[1],
                    encoding="utf-8")


# ---- comparison with an earlier run ----------------------------------------------------

def apart(a, b):
    """Whether two rows differ by more than their own spread, or by 2 % if they have none."""
    if "low" in a and "low" in b:
        return a["low"] > b["high"] or b["low"] > a["high"]
    x, y = (r.get("difference", r.get("value", 0)) for r in (a, b))
    return abs(x - y) > 0.02 * max(abs(x), abs(y))


def changes(rows, base):
    yield "figure", "unit", "before", "now", ""
    for figure in FIGURES:
        now, before = rows.get(figure.key), base.get(figure.key)
        if now and before and apart(now, before):
            better = now.get(figure.of, 0) < before.get(figure.of, 0)
            yield (figure.title, figure.unit, result(figure, before), result(figure, now),
                   "better" if better != figure.at_least else "WORSE")


def main():
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--base", help="JSON of an earlier run: show what changed")
    parser.add_argument("--json", default="build/bench.json")
    parser.add_argument("--document", help="write the table into this file, between its marks")
    parser.add_argument("--only", help="only the measures whose name has this in it")
    options = parser.parse_args()
    base = json.load(open(options.base, encoding="utf-8"))["rows"] if options.base else None
    here, path = machine(), ROOT / options.json
    path.parent.mkdir(parents=True, exist_ok=True)

    def keep(rows, missing):
        path.write_text(json.dumps({"machine": here, "rows": rows, "missing": missing}, indent=1) + "\n")

    rows, missing = take(options.only, keep)
    print(", ".join(f"{k} {v}" for k, v in here.items()))
    print(f"floors in ns: {', '.join(floors(rows))}")
    print_table(table(rows))
    for line in missing:
        print(f"not available: {line}")
    if options.document:
        write_markdown(ROOT / options.document, markdown(here, rows))
    if base:
        print_table(changes(rows, base))
    print(f"written to {options.json}")


if __name__ == "__main__":
    main()
