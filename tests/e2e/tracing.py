# SPDX-License-Identifier: Apache-2.0
"""Runs programs with and without tlstall and reads what it recorded."""
import collections
import difflib
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import schema

ROOT = pathlib.Path(__file__).resolve().parents[2]
TLSTALL = pathlib.Path(os.environ.get("TLSTALL_PROGRAM", ROOT / "tlstall"))
SHIM = pathlib.Path(os.environ.get("TLSTALL_SHIM", ROOT / "libtlstall.so"))
PROGRAMS = ROOT / os.environ.get("TLSTALL_BUILD", "build") / "tests" / "programs"
TIMEOUT = 60
# TLSTALL_TEST_MODE=watch: everything is traced in that mode
MODE = {"TLSTALL_MODE": "watch"} if os.environ.get("TLSTALL_TEST_MODE") == "watch" else {}


def mode():
    return MODE.get("TLSTALL_MODE", "all")


def environment(**extra):
    """An environment that does not depend on the user of this machine."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8",
            "TZ": "UTC", "LD_BIND_NOW": "", **MODE, **extra}


@functools.lru_cache
def openssl_version():
    """The version of the libssl that the tests' programs use: (3, 0, 17)."""
    words = subprocess.run(["/usr/bin/openssl", "version"], capture_output=True, text=True,
                           check=True).stdout.split()
    return tuple(int(n) for n in re.findall(r"\d+", words[1]))


class Call(dict):
    """A call record; its keys are attributes, None if the key is absent."""

    def __getattr__(self, name):
        return self.get(name)


class Trace:
    """The records of one JSON Lines file."""

    def __init__(self, text):
        self.records = [Call(json.loads(line)) for line in text.splitlines()]
        for record in self.records:
            schema.check(record)
        self.calls = [r for r in self.records if r.type == "call"]
        self.handshakes = [r for r in self.records if r.type == "handshake"]
        self.lost = sum(r.count for r in self.records if r.type == "lost")
        self.by_handshake = collections.defaultdict(list)
        for call in self.calls:
            self.by_handshake[call.pid, call.handshake].append(call)

    def of(self, handshake):
        return self.by_handshake.get((handshake.pid, handshake.handshake), [])

    def ops(self, handshake):
        return [c for c in self.of(handshake) if c.fn != "SSL_get_error"]

    def functions(self):
        return {c.fn for c in self.calls}

    def only(self):
        assert len(self.handshakes) == 1, self.handshakes
        return self.handshakes[0]

    def check(self, recorded_in=None):
        """Checks what must hold for any trace; `recorded_in`: its mode, if that is not the mode of now."""
        assert self.lost == 0
        for record in self.records:
            assert record.schema == "tlstall/1", record
            assert record.type in ("call", "handshake", "lost"), record
        keys = [(h.host, h.comm, h.pid, h.handshake) for h in self.handshakes]
        assert len(set(keys)) == len(keys), keys
        assert [c.ts_ns for c in self.calls] == sorted(c.ts_ns for c in self.calls)
        for handshake in self.handshakes:
            self._check_handshake(handshake, recorded_in or mode())
        for call in self.calls:
            self._check_call(call)
        return self

    def _check_call(self, call):
        assert call.error.startswith("SSL_ERROR_"), call
        assert int(call.ssl, 16), call
        assert call.duration_ns >= 0 and call.retry is None or call.retry >= 0, call
        if call.fn == "SSL_get_error":
            assert call.arg_ret is not None, call
            return
        assert call.error_class in ("success", "retry", "shutdown", "fatal"), call
        if call.error_class == "success":
            assert call.error == "SSL_ERROR_NONE", call
        if call.error.startswith("SSL_ERROR_WANT_"):
            assert call.error_class == "retry", call

    def _check_handshake(self, handshake, mode):
        h, ops = handshake, self.ops(handshake)
        assert h.outcome in ("ok", "failed", "abandoned", "in_flight"), h
        assert h.role in ("client", "server"), h
        assert sum(h.time.values()) == h.duration_ns, h
        assert all(part >= 0 for part in h.time.values()), h
        assert set(h.time) == {"cpu_ns", "wait_in_call_ns", "gap_waiting_ns", "gap_ready_ns",
                               "other_ns"}
        assert h.retries == max(h.calls - 1, 0), h
        assert h.want_read + h.want_write + h.want_other <= h.calls, h
        # one that was read late has a time after those that were shown before it
        during = [c for c in ops if c.ts_ns - (c.late_ns or 0) <= h.ts_ns + h.duration_ns]
        returned = [c for c in during[:h.calls]]
        if mode == "watch":
            self._check_packed(h, returned)
            return
        assert h.calls - len(returned) in (0, 1), (h, ops)
        assert [c.retry for c in returned] == list(range(len(returned))), returned
        # A kill may happen between counting a call and writing its record.
        missing = h.calls - len(returned)
        wants = [c.error for c in returned]
        assert 0 <= h.want_read - wants.count("SSL_ERROR_WANT_READ") <= missing, (h, wants)
        assert 0 <= h.want_write - wants.count("SSL_ERROR_WANT_WRITE") <= missing, (h, wants)
        times = [s["at_ns"] for s in h.states or []]
        assert times == sorted(times) and all(0 <= t <= h.duration_ns for t in times), h
        for alert in h.alerts or []:
            assert alert["by"] in ("us", "peer"), h


    def _check_packed(self, h, returned):
        """Mode watch: calls made before the handshake was late are recorded up to the eighth."""
        # calls after the handshake's last one have the same number; times this close do not separate them
        last = next((i for i, c in enumerate(returned) if c.retry == h.calls - 1), len(returned))
        retries = [c["retry"] for c in h.call_log or []] + [c.retry for c in returned[:last + 1]]
        assert retries == sorted(set(retries)) and len(retries) >= min(h.calls - 1, 8), (h, retries)
        assert retries[:8] == list(range(len(retries)))[:8], (h, retries)


class Recorder:
    """Where a traced program's records go, and the command line that puts them there."""

    def __init__(self, directory, options=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="trace-", dir=directory))
        self.directory.chmod(0o1777)  # for servers that run as another user
        self.file = self.directory / "records.jsonl"
        self.options = list(options)

    def command(self, argv, program=TLSTALL):
        return [str(program), "run", "--format", "jsonl", "-o", str(self.file),
                *self.options, "--", *argv]

    def read(self):
        return Trace(self.file.read_text())


class Result:
    def __init__(self, status, stdout, stderr, trace=None):
        self.status, self.stdout, self.stderr, self.trace = status, stdout, stderr, trace

    def __repr__(self):
        return f"status {self.status}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


def check_lines(text):
    """Of `--format jsonl`; the program's own lines do not begin like a record."""
    for line in text.splitlines():
        if line.startswith('{"type":'):
            schema.check(json.loads(line))


def run(argv, env=None, stdin="", timeout=TIMEOUT, cwd="/", within=None):
    """Runs a program and everything that it leaves behind; its output as text. `within`: a
    network.Namespace."""
    if within:
        argv = [*within.within, *argv]
    process = subprocess.Popen([str(a) for a in argv], env=environment(**(env or {})), cwd=cwd,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, errors="backslashreplace",
                               start_new_session=True)
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        stdout, stderr = process.communicate()
        raise TimeoutError(f"{argv}\n{Result(None, stdout, stderr)}") from None
    if "jsonl" in argv and TLSTALL in argv:
        check_lines(stdout)
    return Result(process.returncode, stdout, stderr)


def complaints(result):
    """What the tool complains of, without the notes of processes that other tests, at the same time, run untraced."""
    return [line for line in result.stderr.splitlines() if "tlstall: " in line and "runs untraced" not in line]


def traced(argv, env=None, options=(), check=True, **more):
    """The same under `tlstall run`, with .trace; the records are checked."""
    directory = tempfile.mkdtemp(prefix="tlstall-")
    try:
        recorder = Recorder(directory, options)
        result = run(recorder.command(argv), env=env, **more)
        assert recorder.file.exists(), result
        result.trace = recorder.read()
        return check and result.trace.check() and result or result
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def listed(directory):
    """A directory's listing, without the counters of the shims."""
    return [name for name in os.listdir(directory) if not name.startswith(".")]


def copy_products(directory):
    """Copies the tool and the shim where another user can read them; returns the tool's path."""
    for product in (TLSTALL, SHIM):
        shutil.copy(product, directory)
    return pathlib.Path(directory) / TLSTALL.name


# What really varies between two runs of one program, and nothing else.
VARIES = [
    (r"\b(1[6-9]\d{8}|2\d{9})(\.\d+)?\b", "<epoch>"),
    (r"\b\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?( ?(UTC|GMT|Z)|\+00(:?00)?)?", "<time>"),
    (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun),? [^\n]*\d\d:\d\d:\d\d[^\n]*", "<date>"),
    (r"\b127\.0\.0\.1:\d{4,5}\b", "127.0.0.1:<port>"),
    (r"\b(localhost|port|Port:|PORT)([ :=]+)\d{4,5}\b", r"\1\2<port>"),
    (r"\bafter \d+ (ms|milliseconds)\b", r"after <n> \1"),
    (r"0x[0-9a-fA-F]{6,}", "<address>"),
    (r"^[0-9A-F]{12,16}(?=:error:)", "<thread>"),
]


def normalize(text, varies=()):
    for pattern, replacement in [*VARIES, *varies]:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def differences(plain, other, varies=()):
    """What a user could tell apart: exit status, stdout, stderr."""
    found = []
    if plain.status != other.status:
        found.append(f"exit status {plain.status} and {other.status}")
    for stream in ("stdout", "stderr"):
        one, two = (normalize(getattr(r, stream), varies) for r in (plain, other))
        if one != two:
            found.append(f"{stream}:")
            found += difflib.unified_diff(one.splitlines(), two.splitlines(), "without", "with",
                                          n=1, lineterm="")
    return found


def compare(plain, other, varies=()):
    """Both are the same, and there is something to compare."""
    assert plain.stdout or plain.stderr or plain.status, "compares nothing"
    found = differences(plain, other, varies)
    assert not found, "\n".join(found)
