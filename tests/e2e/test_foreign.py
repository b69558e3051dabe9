# SPDX-License-Identifier: Apache-2.0
"""Names chosen by peers, programs and files: shown as what they are, and never able to drive a terminal
or a page."""
import json
import os
import pty
import re
import shutil
import subprocess

import pytest
from selenium.webdriver.common.by import By

import tracing
from browsing import open_browser
from hostile import NAMES, said
from servers import await_that
from test_run import read_until
from tracing import PROGRAMS, SHIM, TLSTALL

COMM = b"\xe2\x80\xae\x1b[7m\xc2\x9b\xff"
COMM_SHOWN = r"\u202e\x1b[7m\u009b\xff"
FILE = b"found-\x1b[7m\xe2\x80\xae\xff"
FILE_SHOWN = r"found-\x1b[7m\u202e\xff"
WORD = b"forged\n12:00:00 line " + FILE


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The program under a name of that kind."""
    path = os.fsencode(tmp_path_factory.mktemp("foreign")) + b"/" + FILE
    shutil.copy(PROGRAMS / "foreign", path)
    return path


@pytest.fixture(scope="module")
def running(program, tmp_path_factory):
    """Its traces, while it runs."""
    directory = tmp_path_factory.mktemp("traces")
    env = tracing.environment(LD_PRELOAD=str(SHIM), TLSTALL_DIR=str(directory))
    process = subprocess.Popen([program, COMM, *NAMES], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"done\n"
    yield process.pid, directory
    process.kill()
    process.communicate()


def handshakes(text):
    records = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [record for record in records if record["type"] == "handshake"]


@pytest.mark.parametrize("options", [[], ["-k"], ["-c"], ["-q"]])
def test_run(program, options):
    text = said("run", *options, "--", program, COMM, *NAMES)
    if "-c" not in options:
        assert COMM_SHOWN in text
        shown = re.sub(r"\n {11}", " ", text)  # paragraphs are wrapped
        assert options == ["-q"] or all(name in shown for name in NAMES.values()), text


def test_run_records(program):
    text = said("run", "--format", "jsonl", "--", program, COMM, *NAMES)
    assert set(NAMES.values()) <= {record.get("sni") for record in handshakes(text)}


def test_report(running):
    text = said("report", "-n", "100", running[1])
    assert COMM_SHOWN in text and "forged\\n12:00:00 line" in text, text
    records = handshakes(said("report", "--format", "jsonl", running[1]))
    assert {record.get("sni") for record in records} - {None} == set(NAMES.values())
    assert {record["comm"] for record in records} == {COMM_SHOWN}
    assert any(FILE_SHOWN in frame for record in records for frame in record.get("stack", ()))
    assert FILE_SHOWN in said("report", "--html", b"/nonexistent/" + FILE, running[1])
    assert FILE_SHOWN in said("env", "--dir", b"/" + FILE)


def test_live(running):
    pid, directory = running
    text = said("ps", directory=directory)
    assert COMM_SHOWN in text and all(name in text for name in NAMES.values()), text
    records = handshakes(said("ps", "--format", "jsonl", directory=directory))
    assert {record.get("sni") for record in records} - {None} == set(NAMES.values())
    text = said("stack", str(pid), directory=directory)
    assert COMM_SHOWN in text and FILE_SHOWN in text, text
    said("stack", "--all", str(pid), directory=directory)
    said("ctl", str(pid), "off", directory=directory)
    said("ctl", str(pid), "on", directory=directory)


def test_check(program, running):
    assert FILE_SHOWN in said("check", program)
    said("check", str(running[0]))
    for target in (program, str(running[0])):
        assert FILE_SHOWN in json.loads(said("check", "--format", "jsonl", target))["program"]


@pytest.mark.parametrize("arguments", [
    ["run", "--", b"./" + WORD], ["run", "-d", b"/nonexistent/" + WORD, "--", "/bin/true"], ["run", "-o", b"/nonexistent/" + WORD, "/bin/true"],
    ["run", "-e", WORD, "/bin/true"], ["report", WORD], ["check", b"./" + WORD],
    ["ps", WORD], ["stack", WORD], ["ctl", WORD], ["ctl", "1", WORD], ["top", "--sort", WORD], ["env", "--shim", WORD],
    ["env", WORD], [WORD], ["report", "--format", WORD, "x"], ["report", b"--" + WORD],
])
def test_errors_name_it_too(arguments, directory):
    text = said(*arguments, directory=directory)
    assert text.startswith("tlstall: ") and r"forged\n12:00:00 line found-\x1b[7m\u202e\xff" in text, text


def test_environment(directory):
    text = said("run", "--", "/bin/true", TLSTALL_MODE="\x1b[7m")
    assert r"\x1b[7m" in text


# What `tlstall top` shows of the list, a handshake, the list and the processes, and the key that comes then.
SCREENS = ((rb"write client hello", b"\n"), (rb"States completed", b"\x1b"), (rb"(?s)COMMAND.* SNI .*PEER_SILENT", b"p"),
           (rb"p:handshakes", b"q"))


def raw_screens(directory):
    """All that it writes to its terminal, byte by byte."""
    pid, terminal = pty.fork()
    if not pid:
        os.execve(TLSTALL, ["tlstall", "top", "-d", "0.2"], tracing.environment(
            TLSTALL_DIR=str(directory), TERM="xterm", LINES="60", COLUMNS="200"))
    written = b""
    for shown, key in SCREENS:
        written += read_until(terminal, shown)[0]
        os.write(terminal, key)
    os.waitpid(pid, 0)
    os.close(terminal)
    return written


def test_top(running):
    written = raw_screens(running[1])
    text = written.decode()
    assert "\x1b]" not in text and "\x1b[2Jc0" not in text and "title\x07" not in text
    assert not re.search("[\x7f-\x9f\u202e\u200b\u2028\ufeff\U000e0061]", text), text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\([B0]", "", text)
    assert r"\u202emoc.elpmaxe" in plain or r"\u202e" in plain, plain


def test_page(running, tmp_path):
    page = tmp_path / "page.html"
    said("report", "--html", str(page), running[1])
    browser = open_browser()
    try:
        browser.get(f"file://{page}")
        await_that(lambda: browser.execute_script("return document.documentElement.dataset.ready === 'yes'"),
                   lambda: browser.get_log("browser"), timeout=60)
        count = browser.execute_script("return app.rows.length")
        shown = ""
        for row in range(count):
            browser.execute_script("openRow(app.rows[arguments[0]])", row)
            shown += browser.find_element(By.TAG_NAME, "body").get_attribute("textContent")
        data = json.dumps(browser.execute_script("return [app.table.strings, app.table.meta]"), ensure_ascii=False)
        assert browser.execute_script("return document.querySelectorAll('img').length") == 0
        assert browser.get_log("browser") == []
    finally:
        browser.quit()
    assert COMM_SHOWN in shown or FILE_SHOWN in shown
    for text in (shown, json.loads(json.dumps(data))):
        bad = re.search("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]", text)
        assert not bad, repr(text[bad.start() - 100:bad.end() + 100])
