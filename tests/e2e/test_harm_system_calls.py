# SPDX-License-Identifier: Apache-2.0
"""The shim adds only the system calls in the table of doc/RELIABILITY.md, all within systemd's
@system-service; under a seccomp filter, a handshake adds none."""
import collections
import pathlib
import re
import shutil
import subprocess

import pytest

import tracing

TABLE = (tracing.ROOT / "doc/RELIABILITY.md").read_text()
PROGRAMS = [("connection_threads",), ("daemon", "threaded"), ("spawn",), ("swap_fd",), ("abandoned",),
            ("filtered", "early")]


def documented():
    section = TABLE.split("## System calls that the shim adds")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and "`" in line]
    return set(re.findall(r"`([a-z0-9_]+)`", "".join(rows)))


def needs(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not there")


def calls(argv, directory, *options):
    """How often each was made, by the program and its children."""
    needs("strace")
    log = pathlib.Path(directory) / "strace"
    done = tracing.run(["strace", "-f", "-qq", "-o", log, *options, *argv])
    if "ptrace" in done.stderr and done.status:
        pytest.skip("strace may not trace here")
    names = re.findall(r"^\d+ +([a-z_0-9]+)\(", log.read_text(), re.M)
    return {name: names.count(name) for name in names}


def with_shim(directory, **more):
    traces = pathlib.Path(directory) / "traces"
    traces.mkdir(mode=0o700, exist_ok=True)
    settings = {"LD_PRELOAD": tracing.SHIM, "TLSTALL_DIR": traces, **more}
    return traces, [f"--env={name}={value}" for name, value in settings.items()]


@pytest.mark.parametrize("argv", PROGRAMS, ids=" ".join)
def test_only_documented_ones_are_added(argv, directory):
    argv = [tracing.PROGRAMS / argv[0], *argv[1:]]
    plain = calls(argv, directory)
    _, options = with_shim(directory)
    beside = calls(argv, directory, *options)
    added = {name for name, count in beside.items() if count > plain.get(name, 0)}
    assert "openat" in added
    assert added <= documented(), added - documented()


def test_all_are_within_system_service():
    needs("systemd-analyze")

    def members(name):
        listed = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True,
                                text=True, check=True).stdout.splitlines()
        found = set()
        for line in listed[1:]:
            word = line.strip()
            if word.startswith("@"):
                found |= members(word)
            elif word and not word.startswith("#"):
                found.add(word)
        return found

    allowed = members("@system-service")
    assert documented(), "no table"
    assert documented() <= allowed, documented() - allowed


def records(traces):
    return tracing.Trace(tracing.run([tracing.TLSTALL, "report", "--format", "jsonl", traces]).stdout)


@pytest.mark.parametrize("way,outcomes", [("late", {"ok": 2}), ("thread", {"ok": 2}), ("early", {"ok": 2}),
                                          ("slow", {"ok": 6, "abandoned": 2}), ("before", {}), ("objects", {"ok": 2})])
@pytest.mark.parametrize("mode", ["all", "watch"])
def test_a_filter_that_kills(way, outcomes, mode, directory):
    """It kills for every call that the program does not make itself; set before or after the start."""
    argv = [tracing.PROGRAMS / "filtered", way]
    traces, _ = with_shim(directory)
    plain = tracing.run(argv)
    beside = tracing.run(argv, env={"LD_PRELOAD": str(tracing.SHIM), "TLSTALL_DIR": str(traces), "TLSTALL_MODE": mode})
    assert plain.status == 0, plain
    tracing.compare(plain, beside)
    if not outcomes:  # the filter was there before a trace could be made
        assert not list(pathlib.Path(traces).glob("*.tlstall"))
        return
    trace = records(traces)
    assert collections.Counter(h.outcome for h in trace.handshakes) == outcomes
    assert mode == "watch" or all(h.stack for h in trace.handshakes)


def handshakes_calls(argv, directory, **settings):
    """Calls made between the lines that the program prints before and after its handshake."""
    _, options = with_shim(directory, **settings)
    calls(argv, directory, *options)
    text = (pathlib.Path(directory) / "strace").read_text()
    inside = text.split('write(1, "filtered', 1)[1].split('write(1, "handshake', 1)[0]
    return set(re.findall(r"^\d+ +([a-z_0-9]+)\(", inside, re.M))


def test_nothing_is_asked_unless_told_so(directory):
    argv = [tracing.PROGRAMS / "filtered", "early"]
    asked = {"fcntl", "statx", "getpeername", "getsockname", "getsockopt", "ioctl", "clock_gettime",
             "rt_sigprocmask", "gettid"}
    assert not handshakes_calls(argv, directory) & asked
    assert {"getpeername", "getsockopt"} <= handshakes_calls(argv, directory, TLSTALL_SOCKET="on")


def test_run_says_so():
    done = tracing.traced([tracing.PROGRAMS / "filtered", "early"], check=False)
    assert "runs under a seccomp filter, so the kernel was not asked about its sockets" in done.stderr
    assert [h.outcome for h in done.trace.handshakes] == ["ok", "ok"]


def test_a_service_of_systemd(directory):
    """Confined by systemd itself: SystemCallFilter=@system-service, whose default is to kill."""
    needs("systemd-run")
    traces, _ = with_shim(directory)
    done = subprocess.run(
        ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", "-p", "SystemCallFilter=@system-service",
         "-E", f"LD_PRELOAD={tracing.SHIM}", "-E", f"TLSTALL_DIR={traces}", "-E", "TLSTALL_SOCKET=on",
         tracing.PROGRAMS / "connection_threads"], capture_output=True, text=True, check=False)
    if "systemd" in done.stderr and done.returncode:
        pytest.skip("systemd does not run here")
    assert done.returncode == 0, done
    assert {h.outcome for h in records(traces).handshakes} == {"ok"}
