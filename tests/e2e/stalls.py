# SPDX-License-Identifier: Apache-2.0
"""Reproductions of the catalog's causes: a real stall, looked at while it hangs and after its end, and a
row of the confusion table for each.

However a stall is Seen, its cause appears in `tlstall top` while it hangs, and in the report's page
and text at the end.
"""
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import servers
import told
import tracing

STALLS = tracing.PROGRAMS / "stalls"
PYTHON = "/usr/bin/python3"
CLIENTS = pathlib.Path(__file__).parent / "clients"
# Long enough for a verdict, and for `run` to have looked at it twice.
LONG_ENOUGH = 1.6


@dataclasses.dataclass
class Seen:
    """One stall: its record while it hung (None: it did not hang), and the final one."""
    live: tracing.Call
    final: tracing.Call
    trace: tracing.Trace
    stdout: str = ""

    def records(self):
        return [record for record in (self.live, self.final) if record]

    def evidence(self):
        return "\n".join(self.final.evidence)


@contextlib.contextmanager
def directory_for_traces():
    path = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
    path.chmod(0o1777)  # for servers that run as another user
    yield path
    shutil.rmtree(path, ignore_errors=True)


def with_reports(trace, directory, mode=None):
    """The checked trace, and its reports. The traces' files are in `directory`."""
    trace.check(mode).reports = told.Reports(directory)
    return trace


def descendants(pid):
    with contextlib.suppress(OSError):  # one ends meanwhile
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                yield from descendants(child)
                yield child


def live_records(directory, process):
    """What `tlstall ps` reports about this process's children that are traced into this directory."""
    result = tracing.run([tracing.TLSTALL, "ps", "--format", "jsonl"],
                         env={"TLSTALL_DIR": str(directory)})
    assert result.status == 0, result
    children = set(descendants(process.pid))
    return [r for r in tracing.Trace(result.stdout).handshakes if r.pid in children]


def judged(record):
    """It has a verdict: NONE does not last while a handshake hangs."""
    return record.cause != "NONE"


def long_enough(records, which, seconds=LONG_ENOUGH):
    return [r for r in records if r.duration_ns >= seconds * 1e9 and which(r)]


class Running:
    """An untraced program that runs in the meantime."""

    def __init__(self, argv, within=None):
        self.process = subprocess.Popen([*(within.within if within else []), *map(str, argv)],
                                        env=tracing.environment(), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Traced:
    """A program under `tlstall run`; its handshakes can be looked at while it runs."""

    def __init__(self, argv, env=None, within=None, stdin=None, options=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
        self.traces = self.directory / "traces"
        self.mode = (env or {}).get("TLSTALL_MODE", tracing.mode())
        self.recorder = tracing.Recorder(self.directory, ["-d", self.traces, *options])
        self.output = open(self.directory / "output", "w+b")
        self.process = subprocess.Popen(
            [*(within.within if within else []), *map(str, self.recorder.command(argv))],
            env=tracing.environment(**(env or {})), stdin=stdin or subprocess.DEVNULL,
            stdout=self.output, stderr=self.output, cwd="/", start_new_session=True)

    def text(self):
        return (self.directory / "output").read_text(errors="replace")

    def target(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(servers.await_that(lambda: children.read_text().split(), "the program starts")[0])

    def hangs(self, which=judged, seconds=LONG_ENOUGH):
        """The record of the handshake once it has been in flight that long."""

        def found():
            assert self.process.poll() is None, self.text()
            return long_enough(live_records(self.traces, self.process), which, seconds)

        live = servers.await_that(found, lambda: f"no hang: {self.text()}")[0]
        told.check_top(self.traces, live, lambda: filter(same(live), live_records(self.traces, self.process)))
        return live

    def end(self, number=signal.SIGKILL):
        """Ends the program, or waits until it ends by itself (None); returns the trace."""
        if number:
            os.kill(self.target(), number)
        self.process.wait(20)
        return with_reports(self.recorder.read(), self.traces, self.mode)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.output.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    stop = close

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def same(live):
    """A later handshake may have an object at the same address."""
    return lambda record: (record.pid, record.ssl, record.handshake) == (live.pid, live.ssl, live.handshake)


def hanging(argv, which=judged, seconds=LONG_ENOUGH, **options):
    """Runs it until a handshake hangs, looks, kills it, looks again."""
    with Traced(argv, **options) as traced:
        live = traced.hangs(which, seconds)
        trace = traced.end()
        final = [r for r in trace.handshakes if same(live)(r)][-1]
        assert live.ts_ns == final.ts_ns, (live, final)  # scripts join on it
        return Seen(live, final, trace, traced.text())


def ending(argv, which=lambda record: True, **options):
    """Runs it to its end."""
    with Traced(argv, **options) as traced:
        trace = traced.end(None)
        chosen = [r for r in trace.handshakes if which(r)]
        assert len(chosen) == 1, (trace.handshakes, traced.text())
        return Seen(None, chosen[0], trace, traced.text())


def serving(make, provoke, which=judged, seconds=LONG_ENOUGH):
    """A traced server: make(trace=options), with a handshake that hangs during provoke(server); then
    everything is killed."""
    with directory_for_traces() as traces:
        with make(trace=["-d", traces]) as server, provoke(server):
            live = servers.await_that(lambda: long_enough(live_records(traces, server.process), which, seconds),
                                      server.output)[0]
            told.check_top(traces, live, lambda: filter(same(live), live_records(traces, server.process)))
            for pid in list(descendants(server.process.pid)):
                with contextlib.suppress(ProcessLookupError):  # one ends when another does
                    os.kill(pid, signal.SIGKILL)
            server.process.wait(20)
            trace = with_reports(server.recorder.read(), traces)
        return Seen(live, [r for r in trace.handshakes if same(live)(r)][-1], trace)


def served(make, client):
    """The trace of a server, make(trace=options), that ends after client(server)."""
    with directory_for_traces() as traces, make(trace=["-d", traces]) as server:
        client(server)
        server.end()
        return with_reports(server.trace, traces)


# ---- the confusion table ------------------------------------------------------

REPRODUCTIONS = []


@dataclasses.dataclass
class Reproduction:
    name: str
    program: str
    what: str
    cause: str
    fault: str
    also: str = None  # a second cause

    def row(self, seen):
        """A row of the table: one JSON object a line."""
        verdicts = {when: record and [record.cause, record.fault, record.confidence,
                                      [other["cause"] for other in record.also or []]]
                    for when, record in (("live", seen.live), ("final", seen.final))}
        return json.dumps({**dataclasses.asdict(self), **verdicts, "mode": tracing.mode()}) + "\n"


def note(line):
    """Appended in one write, because tests run in several processes."""
    if path := os.environ.get("TLSTALL_CONFUSION"):
        with open(path, "a", buffering=1) as file:
            file.write(line)


def reproduction(cause, fault, program, what, also=None):
    """Marks a test that returns what was Seen of a stall with that cause."""

    def decorate(test):
        row = Reproduction(test.__name__.removeprefix("test_"), program, what, cause, fault, also)
        REPRODUCTIONS.append(row)

        @functools.wraps(test)
        def run(*arguments, **fixtures):
            seen = test(*arguments, **fixtures)
            note(row.row(seen))
            for record in seen.records():
                check(row, record)
            seen.trace.reports.check(seen.final)

        return run

    return decorate


def check(row, record):
    assert record.cause == row.cause and record.fault == row.fault, record
    assert not row.also or row.also in [other["cause"] for other in record.also], record
    assert record.confidence in ("high", "medium", "low"), record
    assert record.evidence and record.advice, record
    assert row.cause not in record.not_told_from, record
    assert sum(record.time.values()) == record.duration_ns, record
