# SPDX-License-Identifier: Apache-2.0
"""Hostile text from every source: all commands, formats and pages show it escaped."""
import csv
import json
import os
import re
import shutil
import sqlite3
import struct
import subprocess

import pytest

import hostile
import made
import tracing
from browsing import Page, open_browser
from hostile import NAMES, said
from servers import await_that
from serving import Agent, traced
from tracing import PROGRAMS, SHIM

IDS = [f"{number}-{re.sub('[^a-z0-9]+', '', shown.lower())[:12]}" for number, shown in enumerate(NAMES.values())]
each = pytest.mark.parametrize("text,shown", NAMES.items(), ids=IDS)


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """The trace of a killed process: one handshake failed, recorded on both sides, and one was in flight."""
    directory = tmp_path_factory.mktemp("plain")
    process = subprocess.Popen([PROGRAMS / "foreign", "plain", "plain.example"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env=tracing.environment(LD_PRELOAD=str(SHIM), TLSTALL_DIR=str(directory)))
    assert process.stdout.readline() == b"done\n"
    process.kill()
    process.communicate()
    (path,) = directory.glob("*.tlstall")
    return path


def spoiled(trace, directory, text):
    path = directory / trace.name
    path.write_bytes(hostile.spoil(trace.read_bytes(), text))
    return path


def records(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def strings(record):
    """All strings of a record, at any depth."""
    if isinstance(record, dict):
        record = [*record.values()]
    return [record] if isinstance(record, str) else [s for value in record for s in strings(value)] if isinstance(record, list) else []


# ---- in a trace -------------------------------------------------------------------------


@each
def test_reports(trace, directory, text, shown):
    spoiled(trace, directory, text)
    wrapped = re.sub(r"\s+", "", said("report", "-n", "100", directory))
    assert re.sub(r"\s+", "", shown) in wrapped, wrapped
    for command in ["report", "--format", "jsonl", directory], ["ps", "--all", "--format", "jsonl"]:
        found = [r for r in records(said(*command, directory=directory)) if r["type"] == "handshake"]
        assert len(found) == (3 if command[0] == "report" else 1), found
        assert {record["sni"] for record in found} == {record["host"] for record in found} == {shown}
        assert shown in strings([record["states"] for record in found])
    assert shown in said("ps", "--all", directory=directory)
    said("clean", "--dry-run", directory)


@each
def test_exports(trace, directory, text, shown):
    spoiled(trace, directory, text)
    rows = list(csv.DictReader(said_raw("csv", directory).splitlines(keepends=True), strict=True))
    assert {row["sni"] for row in rows} <= {shown, "'" + shown} and len(rows) == 3
    assert not any(cell[:1] in tuple("=+-@\t\r") and cell for row in rows for cell in row.values()), rows
    assert shown in strings(records(said_raw("jsonl", directory)))
    assert shown in strings(json.loads(export_to("perfetto", directory).read_text()))
    assert shown.encode() in b"".join(path.read_bytes() for path in export_to("ctf", directory).iterdir())
    with sqlite3.connect(export_to("sqlite", directory)) as database:
        assert database.execute("SELECT DISTINCT sni FROM handshakes").fetchall() == [(shown,)]


def said_raw(name, directory):
    """CSV ends lines with CR LF."""
    result = subprocess.run([tracing.TLSTALL, "export", "--format", name, directory], capture_output=True,
                            env=tracing.environment(), check=True)
    text = result.stdout.decode()
    hostile.check(text.replace("\r\n", "\n"), name)
    return text


def export_to(name, directory):
    path = directory / f"exported-{name}"
    said("export", "--format", name, "-o", path, directory)
    return path


def test_longer_than_any_place(trace, directory):
    spoiled(trace, directory, hostile.LONG)
    assert r"\x1b[7m\x1b[7m" in said("report", "-n", "100", directory)
    said("ps", "--all", directory=directory)
    assert all(r"\x1b[7m" in record["sni"] for record in records(said("report", "--format", "jsonl", directory)))


def timeless(maker):
    """A trace of which the same is told whenever it is read: its clock counts nanoseconds, so that no rate is measured,
    and nothing in it ended within the last ten seconds, of which ps tells more."""
    path = maker.make(200)
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, hostile.SLOTS_USED, 200)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1", ""])
def test_without_a_locale(start, directory, locale):
    """Services and cron jobs have none: the output is the same, and no table loops."""
    spoiled(timeless(start(made.Maker())), directory, "café 日本.example".encode())
    assert "café 日本" in said("ps", "--all", directory=directory)
    for command in ["report", "-n", "100", directory], ["ps", "--all"]:
        assert said(*command, directory=directory, LANG=locale, LC_ALL=locale) == said(*command, directory=directory)


# ---- paths -------------------------------------------------------


@each
def test_paths(directory, text, shown):
    """Of the program and the trace directory; the process and the server name have that name, too."""
    if b"/" in text:
        text, shown = text.replace(b"/", b"|"), shown.replace("/", "|")
    place, program = os.fsencode(directory) + b"/d-" + text, os.fsencode(directory) + b"/" + text
    shutil.copy(PROGRAMS / "foreign", program)
    running = said("run", "-d", place, "--", program, text, text)
    assert shown in re.sub(r"\n {11}", " ", running), running
    found = [r for r in records(said("report", "--format", "jsonl", place)) if r["type"] == "handshake"]
    assert len(found) == 3 and {record.get("sni") for record in found} - {None} == {shown}
    assert any(f"({shown})" in frame or shown + "+" in frame for frame in strings([r.get("stack", []) for r in found])), found
    assert shown in said("env", "--dir", place) and shown in said("check", program)
    for command in ["ps"], ["ps", "--all"], ["stack", "1"], ["ctl", "1"], ["clean", "--dry-run"], ["top"]:
        said(*command, directory=place)
    assert shown in said("report", place + b"/missing") and shown in said("export", "--format", "csv", "-o", place, place)


# ---- live processes -----------------------------------------------------------------------


def hanging(*arguments, **env):
    process = subprocess.Popen([PROGRAMS / "foreign", *arguments], env=tracing.environment(**env), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"done\n"
    return process


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="look is for x86-64 so far")
def test_look():
    # a few of each kind: a look is limited to ten seconds
    names = dict([*hostile.TERMINAL.items()][::4] + [*NAMES.items()][-2:])
    process = hanging(b"\xe2\x80\xae\x1b[7m\xff", *names)
    try:
        found = records(said("look", "--format", "jsonl", str(process.pid)))
        assert {record.get("sni") for record in found if record["type"] == "handshake"} - {None} == set(names.values())
        text = re.sub(r"\n +", " ", said("look", str(process.pid)))
        assert r"\u202e\x1b[7m\xff" in text and all(shown in text for shown in names.values()), text
        assert r"\u202e\x1b[7m\xff" in said("stack", str(process.pid))
    finally:
        process.kill()
        process.communicate()


def test_serve(directory, start):
    agent = start(Agent(directory))
    subprocess.run([PROGRAMS / "foreign", b"\xe2\x80\xae\x1b[7m\xff", *NAMES], env=traced(directory), stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, check=True)
    await_that(lambda: len(agent.handshakes()) == 3 * len(NAMES), lambda: f"all have ended: {len(agent.handshakes())}", 60)
    assert {record.sni for record in agent.handshakes()} - {None} == set(NAMES.values())
    for path in "metrics", "api/handshakes", "":
        hostile.check(agent.ask(path).replace("\t", " "), path)


# ---- a page ------------------------------------------------------------------------------------


def test_page(trace, directory):
    """Opens each handshake: no script runs, and nothing is loaded."""
    for number, text in enumerate(NAMES):
        path = directory / re.sub(r"^\d+", str(number + 1), trace.name)
        path.write_bytes(hostile.spoil(trace.read_bytes(), text))
    file = directory / "page.html"
    said("report", "--html", file, directory)
    assert hostile.BAD.search(file.read_text().replace("\t", " ")) is None
    browser = open_browser()
    try:
        page = Page(browser, file)
        shown = page.js("return Array.from(app.rows, row => { openRow(row); return document.body.textContent; }).join('\\n')")
        assert page.shown() == 3 * len(NAMES)
        assert [text for text in NAMES.values() if text not in shown] == []
        assert page.js("return document.querySelectorAll('img, svg[onload], #rows script, #detail script').length") == 0
        assert page.complaints() == []
        assert [url for url in page.requests() if not url.startswith(("about:", "data:"))] == [f"file://{file}"]
    finally:
        browser.quit()
    hostile.check(re.sub(r"[\n\t]", " ", shown), "page")
