# SPDX-License-Identifier: Apache-2.0
"""look: programs that try to prevent it."""
import contextlib
import json
import os
import pathlib
import re
import subprocess
import time

import pytest

import test_look
import tracing
from servers import await_that
from test_look import Plain, descendants, switches
from tracing import TLSTALL, run

pytestmark, silent = test_look.pytestmark, test_look.silent


@pytest.fixture(scope="module")
def hostile_program(shared_directory):
    program = shared_directory / "hostile"
    subprocess.run([os.environ.get("CC", "cc").split()[-1], "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-rdynamic", "-w", "-o", program,
                    tracing.ROOT / "tests/programs/look/hostile.c", "-lssl", "-lcrypto", "-ldl"], check=True)
    program.chmod(0o755)
    return program


@pytest.fixture
def hostile(start, silent, hostile_program, directory):
    # if it could do anything, it would do so as an unprivileged user
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--groups=65533"]

    def begin(function, deed):
        directory.chmod(0o777)
        user = nobody if os.geteuid() == 0 else []
        before = silent.hellos
        client = start(Plain([*user, hostile_program, silent.port, function, deed], cwd=directory))
        assert client.process.stdout.readline() == b"ready\n"
        silent.wait_hellos(before + 1)
        await_that(lambda: pathlib.Path(f"/proc/{client.pid}/syscall").read_text() != "running\n",
                   "it waits")
        return client
    return begin


def look_in(directory, *arguments):
    """Where files that appear would be seen."""
    began = time.monotonic()
    result = run([TLSTALL, "look", *map(str, arguments)], cwd=directory)
    assert time.monotonic() - began < 30, result
    assert not list(directory.glob("hostile-was-here")), result
    assert "hostile-was-here" not in result.stdout + result.stderr, result
    return result


DEEDS = {
    "fork_many": "called system call 57",
    "exec_shell": "called system call 59",
    "open_file": "called system call 2$",
    "write_out": "called system call 1$",
    "write_error": "called system call 1$",
    "connect_out": "called system call 41",
    "kill_parent": "called system call 110",
    "kill_all": "called system call 62",
    "read_others": "called system call 310",
    "unfilter": "called system call 157",
    "map_file": "called system call 9$",
    "x32_entry": "called system call 1073741863",
    "old_entry": "ended the querying child",
    "leave": "ended the querying child",
    "forge_pieces": "ended the querying child",
    "loop": "took too long",
    "forge_flood": "took too long|ended the querying child",
    "touch_much": "took too long",
}


@pytest.mark.parametrize("deed", DEEDS)
def test_hostile_deed(deed, hostile, directory):
    client = hostile("SSL_in_init", deed)
    before = switches(client.pid)
    result = look_in(directory, client.pid)
    assert result.status == 0, result
    assert re.search(rf"could not be queried: SSL_\w+ ({DEEDS[deed]})", result.stdout, re.MULTILINE), result
    assert switches(client.pid) == before and not list(descendants(client.pid))


@pytest.mark.parametrize("deed", ["trap", "illegal", "divide", "nowhere", "recurse"])
def test_hostile_signal(deed, hostile, directory):
    """Whatever raises a signal does not count as an object; nothing else happens."""
    result = look_in(directory, hostile("SSL_in_init", deed).pid)
    assert result.status == 0 and "0 TLS objects" in result.stdout, result


@pytest.mark.parametrize("function, deed", [
    ("SSL_get_servername", "escapes"), ("SSL_state_string_long", "escapes"),
    ("SSL_get_servername", "endless_text"), ("SSL_state_string_long", "endless_text"),
    ("SSL_get_rfd", "minus_one"), ("SSL_version", "minus_one"), ("SSL_want", "minus_one"),
    ("SSL_get_SSL_CTX", "minus_one"), ("SSL_get_rbio", "minus_one"), ("SSL_is_server", "minus_one"),
    ("SSL_in_init", "minus_one"), ("BIO_next", "itself"), ("BIO_method_name", "escapes"),
    ("BIO_number_read", "minus_one"), ("SSL_up_ref", "minus_one"), ("SSL_in_init", "forge"),
    ("OpenSSL_version_num", "loop")])
def test_hostile_answer(function, deed, hostile, directory):
    client = hostile(function, deed)
    for options in ([], ["--format", "jsonl"]):
        result = look_in(directory, *options, client.pid)
        assert result.status == 0 and result.stderr == "", result
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", result.stdout), result
        if options:
            for line in result.stdout.splitlines():
                json.loads(line)


def test_the_child_is_locked_in(hostile, directory):
    """While another user's code runs in it: its user, and what it has access to."""
    client = hostile("SSL_in_init", "loop")
    process = subprocess.Popen([TLSTALL, "look", str(client.pid)], stdout=subprocess.DEVNULL,
                               env=tracing.environment())
    try:
        def locked():
            for child in descendants(process.pid):
                with contextlib.suppress(OSError):
                    status = pathlib.Path(f"/proc/{child}/status").read_text()
                    if "\nSeccomp:\t2\n" in status:
                        return child, status, pathlib.Path(f"/proc/{child}/maps").read_text(), \
                            os.listdir(f"/proc/{child}/fd")
            return None
        child, status, maps, descriptors = await_that(locked, "a child")
    finally:
        process.wait(30)
    field = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if os.geteuid() == 0:
        assert field["Uid"].split() == ["65534"] * 4 and field["Gid"].split() == ["65534"] * 4, status
        assert field["Groups"].split() == ["65533"], status
    assert field["NoNewPrivs"] == "1" and int(field["CapEff"], 16) == int(field["CapPrm"], 16) == 0
    assert descriptors == ["0"], descriptors
    files = {line.split(None, 5)[5] for line in maps.splitlines() if len(line.split()) > 5}
    assert files <= {"[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]"}, maps
    assert not pathlib.Path(f"/proc/{child}").exists()
