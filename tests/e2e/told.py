# SPDX-License-Identifier: Apache-2.0
"""What a person sees of traces: `tlstall top` in a terminal, and the page and text of a report."""
import array
import base64
import gzip
import itertools
import json
import os
import re
import struct
import subprocess

import servers
import tracing

# ---- top --------------------------------------------------------------------------


class Screen:
    """`tlstall top` in a tmux terminal. Each has a tmux server of its own: one that ends still takes clients for a
    moment, and leaves them alone."""

    count = itertools.count()

    def __init__(self, directory, columns=80, lines=24, arguments=""):
        self.name = f"tlstall-{os.getpid()}-{next(self.count)}-{directory.parent.name}-{directory.name}"
        command = f"exec 2>&1; {tracing.TLSTALL} top {arguments}; echo status $?; exec cat"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(lines),
                  f"TLSTALL_DIR={directory} TERM=screen sh -c '{command}'")

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-L", self.name, *arguments], check=True, text=True,
                              capture_output=True, env=tracing.environment()).stdout

    def read(self):
        return self.tmux("capture-pane", "-p")

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def resize(self, columns, lines):
        self.tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def until(self, *patterns, without=()):
        """The screen, once it shows all of these: a terminal may be read when only a part of it is redrawn."""
        def shows(screen):
            found = [re.search(pattern, screen, re.MULTILINE) for pattern in (*patterns, *without)]
            return all(found[:len(patterns)]) and not any(found[len(patterns):])

        return servers.await_that(lambda: (s := self.read()) and shows(s) and s,
                                  lambda: f"{patterns} without {without}\n{self.read()}")

    def stop(self):
        self.tmux("kill-server")


def check_top(directory, record, now):
    """Checks that top has a row of that process that ends with the cause and fault; `now()`: of these records, which
    tell what a longer stall is called by the time that top shows it."""
    def row():
        text = screen.read()
        return any(re.search(rf"^ *{r.pid} .* {r.cause} +{r.fault}$", text, re.MULTILINE)
                   for r in (record, *now())) and text

    screen = Screen(directory)
    try:
        text = servers.await_that(row, lambda: f"{[record, *now()]}\n{screen.read()}")
        assert max(map(len, text.splitlines())) <= 80, text
    finally:
        screen.stop()


# ---- reports ------------------------------------------------------------------------

TYPES = {"u8": "B", "u16": "H", "u32": "I", "i32": "i", "f32": "f", "f64": "d"}


def page_rows(html):
    """The handshakes of a page; see the head of tools/web/data.js."""
    packed = re.search(r'<script type="text/plain" id="data">([^<]*)</script>', html)[1]
    data = gzip.decompress(base64.b64decode(packed))
    length, = struct.unpack("<Q", data[:8])
    head, body = json.loads(data[8:8 + length]), data[8 + length:]
    columns = {}
    for name, (kind, offset, count) in head["columns"].items():
        columns[name] = array.array(TYPES[kind])
        columns[name].frombytes(body[offset:offset + count * columns[name].itemsize])
    rows = [dict(zip(columns, values)) for values in zip(*columns.values())]
    for row in rows:
        row["cause"] = head["meta"]["causes"][row["cause"]]["name"]
        row["fault"] = head["meta"]["faults"][row["fault"]]
    return rows


class Reports:
    """Both reports of the traces in a directory."""

    def __init__(self, directory):
        self.page = page_rows(self._report(directory, "--html", "-"))
        self.text = self._report(directory)

    @staticmethod
    def _report(*arguments):
        result = tracing.run([tracing.TLSTALL, "report", *arguments])
        assert result.status == 0, result
        return result.stdout

    def check(self, record):
        """Both name its cause and fault."""
        rows = [row for row in self.page
                if (row["pid"], int(row["ssl"]), int(row["id"]))
                == (record.pid, int(record.ssl, 16), record.handshake & 0xffffffff)]
        assert rows, (record, self.page)
        assert (rows[-1]["cause"], rows[-1]["fault"]) == (record.cause, record.fault), (record, rows)
        table = self.text.split("\nWhat failed or stalled\n")[1].split("\n\n")[0]
        assert re.search(rf"^ *\d+ +{record.fault} +{record.cause} ", table, re.MULTILINE), self.text
        assert f": {record.cause} (" in self.text.split("\nThe worst of each group\n")[1], self.text
