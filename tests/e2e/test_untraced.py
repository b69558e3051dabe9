# SPDX-License-Identifier: Apache-2.0
"""If no trace can be made, the program runs anyway, and every command can say why."""
import json
import os
import pathlib
import re
import subprocess

import pytest

import tracing
from servers import await_that
from tracing import PROGRAMS, SHIM, TLSTALL, run

HELLO = ["/bin/sh", "-c", "echo hello; exit 3"]


def runs_untraced(result, reason):
    assert (result.status, result.stdout) == (3, "hello\n"), result
    assert re.search(rf"^tlstall: .*{reason}.*; the program runs untraced$", result.stderr, re.MULTILINE), result


@pytest.fixture
def read_only(directory):
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,ro", "tlstall-test", directory],
                                          check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system needs more rights")
    yield directory
    subprocess.run(["umount", directory], check=True)


def test_read_only_file_system(read_only):
    runs_untraced(run([TLSTALL, "run", "-d", read_only, "--", *HELLO]), "Read-only file system")
    runs_untraced(run([TLSTALL, "run", "-d", read_only / "new", "--", *HELLO]), "Read-only file system")


def test_no_directory(directory):
    (directory / "file").touch()
    runs_untraced(run([TLSTALL, "run", "-d", directory / "file", "--", *HELLO]), "Not a directory")
    runs_untraced(run([TLSTALL, "run", "-d", directory / "no" / "such", "--", *HELLO]), "No such file or directory")


def test_no_watching(directory):
    """Each user has a limited number of inotify watches."""
    limit = "echo 0 >/proc/sys/user/max_inotify_instances"
    if subprocess.run(["unshare", "-U", "-r", "sh", "-c", limit], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    result = run(["unshare", "-U", "-r", "sh", "-c", f'{limit}; exec "$@"', "sh", TLSTALL, "run", "-d", directory, "--", *HELLO])
    runs_untraced(result, "watching .*Too many open files")


@pytest.fixture
def full(start, directory):
    """A program without a free descriptor."""
    class Full:
        def __init__(self):
            self.process = subprocess.Popen(
                [PROGRAMS / "full"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                env=tracing.environment(LD_PRELOAD=str(SHIM), TLSTALL_DIR=str(directory)))
            self.said = [self.process.stdout.readline() for _ in range(2)]

        def stop(self):
            self.process.kill()
            self.process.communicate()

    return start(Full())


def test_no_free_descriptor(full, directory):
    """If it is not traced, ps, check and run say why."""
    assert full.said == ["errno 24\n", "finished 1\n"]
    if list(directory.glob("*.tlstall")):
        pytest.skip("its trace was made before")
    pid = full.process.pid
    result = run([TLSTALL, "ps"], env={"TLSTALL_DIR": str(directory)})
    assert f"process {pid} runs untraced: the program has reached its limit of open files (EMFILE)" in result.stderr, result
    result = run([TLSTALL, "check", str(pid)])
    assert result.status == 1 and "untraced: has the shim but runs untraced: the program has reached its limit of open files (EMFILE)" in result.stdout, result
    assert json.loads(run([TLSTALL, "check", "--format", "jsonl", str(pid)]).stdout)["reasons"][0]["name"] == "untraced"


def test_run_tells_of_a_note_elsewhere(directory):
    """The program becomes a user who cannot use the directory, before the shim is loaded."""
    if os.getuid() != 0:
        pytest.skip("needs root")
    runtime = directory / "runtime"
    runtime.mkdir()
    runtime.chmod(0o1777)
    directory.chmod(0o755)
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    result = run([TLSTALL, "run", "-d", closed, "--", "setpriv", "--reuid=65534", "--clear-groups",
                  PROGRAMS / "info_callback"], env={"XDG_RUNTIME_DIR": str(runtime)})
    assert result.status == 0, result
    assert re.search(r"^tlstall: process \d+ runs untraced: .*no permission to write to the trace directory \(EACCES\)$", result.stderr, re.MULTILINE), result


def test_notes_of_the_dead_are_not_told(directory):
    (directory / "999999-1-00000000000000aa.failed-EMFILE").touch()
    result = run([TLSTALL, "ps"], env={"TLSTALL_DIR": str(directory)})
    assert "process 999999 " not in result.stderr, result


def test_notes_of_other_tests_are_not_told(directory):
    """Root is told of everybody's in /tmp/tlstall-*, but no test has its directories there."""
    start = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    (directory / f"{os.getpid()}-{start}-00000000000000aa.failed-EMFILE").touch()
    told = f"process {os.getpid()} runs untraced: "
    assert told in run([TLSTALL, "ps"], env={"TLSTALL_DIR": str(directory)}).stderr
    assert told not in run([TLSTALL, "ps"], env={"TLSTALL_DIR": "/nonexistent"}).stderr


def test_notes_of_earlier_processes_with_its_id_are_not_told(directory):
    """Notes stay, and ids come again: one of these is that of the program."""
    place = directory / "tlstall"
    place.mkdir(mode=0o700)
    with subprocess.Popen(["/bin/true"]) as last:
        for pid in range(last.pid, last.pid + 500):
            (place / f"{pid}-1-00000000000000aa.failed-EMFILE").touch()
    result = run([TLSTALL, "run", "--", "/bin/true"], env={"XDG_RUNTIME_DIR": str(directory)})
    assert result.status == 0 and "untraced" not in result.stderr, result


def test_many_traces_open_each_library_once(directory):
    if subprocess.run(["strace", "-V"], capture_output=True).returncode:
        pytest.skip("needs strace")
    env = tracing.environment(LD_PRELOAD=str(SHIM), TLSTALL_DIR=str(directory), TLSTALL_SIZE="256K")
    for _ in range(12):
        subprocess.run([PROGRAMS / "info_callback"], env=env, stdout=subprocess.DEVNULL, check=True)
    assert len(list(directory.glob("*.tlstall"))) == 12
    result = run(["strace", "-e", "trace=openat", TLSTALL, "report", "--format", "jsonl", directory])
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(records) >= 12 and all(record["stack"] for record in records), records
    opened = re.findall(rf'"({PROGRAMS}/info_callback)"', result.stderr)
    assert len(opened) == 1, opened


def test_dead_traces_need_no_descriptors(directory):
    program = [PROGRAMS / "foreign", "x", "name"]
    env = tracing.environment(LD_PRELOAD=str(SHIM), TLSTALL_DIR=str(directory), TLSTALL_SIZE="256K")
    for _ in range(60):
        process = subprocess.Popen(program, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdout.readline()
        process.kill()
        process.communicate()
    result = run(["prlimit", "--nofile=24", TLSTALL, "ps", "--all", "--format", "jsonl"], env={"TLSTALL_DIR": str(directory)})
    records = [json.loads(line) for line in result.stdout.splitlines()]
    others = [line for line in result.stderr.splitlines() if "runs untraced" not in line]
    assert len({record["pid"] for record in records}) == 60 and not others, result
    assert all(record["sni"] == "name" or record["role"] == "server" for record in records)


def test_what_died_while_it_was_made(directory):
    """Empty files in a directory are reported, but are not an error."""
    env = tracing.environment(LD_PRELOAD=str(SHIM), TLSTALL_DIR=str(directory))
    subprocess.run([PROGRAMS / "info_callback"], env=env, stdout=subprocess.DEVNULL, check=True)
    (directory / "999999-1-00000000000000aa.tlstall").touch()
    (directory / "999998-1-00000000000000ab.tlstall").write_bytes(bytes(65536))
    for options in ([], ["--format", "jsonl"]):
        result = run([TLSTALL, "report", *options, directory])
        said = result.stdout + result.stderr
        assert result.status == 0 and len(re.findall(r"99999[89]-1-\S+: .*died while starting", said)) == 2, result
    assert re.match(r"\d+ handshakes in 1 trace \([\d.]+ [kM]B\), ", run([TLSTALL, "report", directory]).stdout)
    assert run([TLSTALL, "report", directory / "999999-1-00000000000000aa.tlstall"]).status == 1


def test_how_much_lies_there(directory):
    result = run([TLSTALL, "run", "-d", directory, "--", PROGRAMS / "info_callback"])
    assert re.search(rf"^tlstall: 1 trace, [\d.]+ [kM]B in {directory}$", result.stderr, re.MULTILINE), result


def test_ctl_of_another_user(full, directory):
    if os.getuid() != 0:
        pytest.skip("needs root")
    directory.chmod(0o755)
    copy = tracing.copy_products(directory)
    result = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(copy), "ctl", str(full.process.pid), "off"])
    assert result.status == 1 and "belongs to user 0, whose traces user 65534 cannot see" in result.stderr, result


def test_one_start_in_every_output(directory):
    """The start is the same whenever a handshake is read: scripts join on it."""
    output = directory / "records"  # apart: what the program prints may end amid a line
    told = run([TLSTALL, "run", "--format", "jsonl", "-o", output, "-d", directory, "--", PROGRAMS / "info_callback"])
    records = [json.loads(line) for line in output.read_text().splitlines()]
    starts = {r["handshake"]: r["ts_ns"] for r in records if r["type"] == "handshake"}
    reported = run([TLSTALL, "report", "--format", "jsonl", directory])
    assert told.status == 0 and starts and starts == {r["handshake"]: r["ts_ns"] for r in map(json.loads, reported.stdout.splitlines())}
