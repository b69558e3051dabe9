# SPDX-License-Identifier: Apache-2.0
"""The shim's own instructions for fixed work, compared with expected figures.

instructions.py check FILE   status 1 if a figure is exceeded by more than 2 %, 77 if none can be
measured
instructions.py write FILE   rewrites the file

A figure is what libtlstall.so itself executes (see callgrind.py), and how often it calls other
libraries. Neither depends on their patch level, or on the speed or clock of the machine. Both depend
on the compiler, which the file names: with another compiler there is nothing to compare.
"""
import os
import re
import subprocess
import sys
import tempfile

import callgrind
from common import BIN, SHIM, environment

FIGURES = {
    "dormant": ("get_error", {"TLSTALL_MODE": "off"}),
    "read_after": ("read_after", {"TLSTALL_MODE": "handshake"}),
    "get_error": ("get_error", {}),
    "want": ("want", {}),
    "handshake": ("handshake", {}),
    "watch handshake": ("handshake", {"TLSTALL_MODE": "watch"}),
    "watch chained": ("chained", {"TLSTALL_MODE": "watch"}),
    "watch want": ("want", {"TLSTALL_MODE": "watch"}),
    "watch get_error": ("get_error", {"TLSTALL_MODE": "watch"}),
}
TOLERANCE = 1.02
SKIP = 77


def producer():
    """The compiler with its major version, and the optimization level."""
    text = subprocess.run(["readelf", "--debug-dump=info", "--dwarf-depth=1", SHIM], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    line = next((line for line in text.splitlines() if "DW_AT_producer" in line and "GNU AS" not in line), "")
    compiler = re.search(r"(GNU C\d*|clang version) (\d+)", line)
    level = re.findall(r" (-O\S*)", line)
    machine = os.uname().machine
    return f"{compiler[1].split()[0]} {compiler[2]} {level[-1] if level else '-O0'} {machine}" if compiler else ""


def take(work, settings):
    with tempfile.TemporaryDirectory() as directory:
        path, times = callgrind.run(directory, [BIN / "counted", work],
                                    environment(directory, **settings))
        own, _ = callgrind.cost(path)
        return sum(own.values()) / times, callgrind.calls_out(path) / times


def figures():
    for name, (work, settings) in FIGURES.items():
        own, out = take(work, settings)
        yield f"{name} instructions", own
        yield f"{name} calls", out


def read(path):
    expected = {}
    for line in open(path, encoding="ascii"):
        if line.strip() and not line.startswith("#"):
            name, value = line.rsplit(None, 1)
            expected[name] = float(value)
    return expected


def made_by(path):
    for line in open(path, encoding="ascii"):
        if line.startswith("# compiler: "):
            return line.split(": ", 1)[1].strip()
    return None


def check(path):
    if made_by(path) != producer():
        return SKIP
    expected, status = read(path), 0
    for name, now in figures():
        if name not in expected or now > expected[name] * TOLERANCE:
            print(f"{name}: {now:g}, expected {expected.get(name, 'nothing')}; where that is wanted: make bench-expected")
            status = 1
    return status


def write(path):
    with open(path, "w", encoding="ascii") as file:
        file.write("# Expected by tests/checks/instructions.sh; written by make bench-expected.\n"
                   f"# compiler: {producer()}\n")
        for name, now in figures():
            file.write(f"{name:24} {now:g}\n")
    return 0


if __name__ == "__main__":
    sys.exit({"check": check, "write": write}[sys.argv[1]](sys.argv[2]))
