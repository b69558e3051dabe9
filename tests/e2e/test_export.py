# SPDX-License-Identifier: Apache-2.0
"""`tlstall export`: each format is read back by a program that knows it, and matches the JSON Lines."""
import collections
import csv
import json
import os
import pathlib
import re
import sqlite3
import struct

import pytest

import made
import peer
import servers
import tracing
from tracing import TLSTALL, run

CURL = "/usr/bin/curl"
CALLS_MADE = 3  # events per handshake that make_traces writes
CLOCK_SOURCE, MONOTONIC = 48, struct.pack("<I", 1)  # an offset in the header, and a value


def export(name, source, *arguments):
    return run([TLSTALL, "export", "--format", name, *arguments, source])


def exported(name, source, *arguments):
    result = export(name, source, *arguments)
    assert result.status == 0, result
    return result.stdout


def records(source):
    return [json.loads(line) for line in exported("jsonl", source).splitlines()]


@pytest.fixture(scope="module")
def many():
    """A trace of 500 handshakes, some of them bad."""
    maker = made.Maker()
    yield maker.make(500)
    maker.stop()


@pytest.fixture(name="real")
def real_trace(directory, start):
    """curl, whose peer closes after the ClientHello; the server name that it sends would be a formula."""
    server = start(peer.Peer(peer.close_after_hello))
    run([TLSTALL, "run", "-q", "-d", directory, "--", CURL, "-sk", "--connect-to",
         f"=cmd.example:443:127.0.0.1:{server.port}", "https://=cmd.example/"])
    run([TLSTALL, "run", "-q", "-d", directory, "--", CURL, "-sk", f"https://localhost:{server.port}/"])
    for path in directory.glob("*.tlstall"):
        # otherwise each reading measures the rate of the clock anew, and two may differ in a digit
        with open(path, "r+b", buffering=0) as file:
            os.pwrite(file.fileno(), MONOTONIC, CLOCK_SOURCE)
    assert records(directory), "nothing was traced"
    return directory


def test_jsonl_is_that_of_report(many):
    assert exported("jsonl", many) == run([TLSTALL, "report", "--format", "jsonl", many]).stdout


# ---- csv ---------------------------------------------------------------------------


def rows(text):
    return list(csv.DictReader(text.splitlines(keepends=True), strict=True))


@pytest.mark.parametrize("column", ["ts_ns", "host", "comm", "pid", "handshake", "role", "outcome", "cause", "fault",
                                    "confidence", "peer", "sni", "version", "calls", "retries", "duration_ns",
                                    "bytes_in", "error", "reason", "advice"])
def test_csv(many, column):
    expected = [str(record.get(column, "")) for record in records(many)]
    assert [row[column] for row in rows(exported("csv", many))] == expected
    assert len(expected) == 500


def test_csv_of_a_real_program(real):
    expected = records(real)
    found = rows(exported("csv", real))
    assert [row["cause"] for row in found] == [record["cause"] for record in expected]
    for row, record in zip(found, expected):
        assert row["evidence"] == "; ".join(record["evidence"])
        assert row["calls"] == str(record["calls"]) and row["sni"] == record["sni"]
        assert pathlib.Path(row["trace"]).parent == pathlib.Path(real)


def test_csv_gives_no_address_that_nobody_knows(directory, start):
    """What run saw while it hung is kept in the trace, but not the local address."""
    server = start(peer.Peer(peer.silent_after_hello))
    run([TLSTALL, "run", "-q", "-d", directory, "--", CURL, "-sk", "-m", "2", f"https://127.0.0.1:{server.port}/"])
    row, = rows(exported("csv", directory))
    assert (row["peer"], row["local"]) == (f"127.0.0.1:{server.port}", ""), row


# ---- perfetto -------------------------------------------------------------------------


def balance(events):
    """Everything that begins on a track ends there, properly nested."""
    open_spans = collections.defaultdict(list)
    for event in events:
        track = (event.get("cat"), event.get("id"))
        if event["ph"] == "b":
            open_spans[track].append((event["name"], event["ts"]))
        elif event["ph"] == "e":
            name, begun = open_spans[track].pop()
            assert name == event["name"] and begun <= event["ts"], event
    assert not any(open_spans.values()), open_spans


def test_perfetto(many):
    expected = records(many)
    events = json.loads(exported("perfetto", many))["traceEvents"]
    balance(events)
    begun = [e for e in events if e["ph"] == "b" and e["cat"] == "handshake" and "args" in e]
    assert [e["args"]["outcome"] for e in begun] == [r["outcome"] for r in expected]
    assert [e["ts"] for e in begun] == [r["ts_ns"] // 1000 for r in expected]
    verdicts = [e["name"] for e in events if e["ph"] == "n"]
    assert verdicts == [r["cause"] for r in expected if r["cause"] != "NONE"]
    calls = [e for e in events if e["ph"] == "X"]
    assert len(calls) == CALLS_MADE * len(expected)
    assert {"name": "process_name", "ph": "M"}.items() <= events[0].items()


@pytest.mark.parametrize("mode", ["all", "watch"])
def test_perfetto_of_a_real_program(directory, authority, start, mode):
    server = start(servers.s_server(authority.ecdsa))
    result = run([TLSTALL, "run", "-q", "-d", directory, "--", CURL, "-sk", f"https://localhost:{server.port}/"],
                 env={"TLSTALL_MODE": mode})
    assert result.status == 0, result
    (record,) = records(directory)
    events = json.loads(exported("perfetto", directory))["traceEvents"]
    balance(events)
    calls = [e for e in events if e["ph"] == "X" and e["name"] in ("SSL_connect", "SSL_do_handshake")]
    assert len(calls) == record["calls"] and calls[-1]["args"]["error"] == "SSL_ERROR_NONE"
    states = [e["name"] for e in events if e["ph"] == "b" and e["cat"] == "handshake" and "args" not in e]
    assert states == [s["state"] for s in record["states"]]


@pytest.mark.parametrize("mode", ["all", "watch"])
def test_perfetto_shows_it_in_its_own_thread(directory, mode):
    """Not in the thread that made the first read later, which may have worked on others meanwhile."""
    program = tracing.PROGRAMS / "read_elsewhere"
    result = run([TLSTALL, "run", "-q", "-d", directory, "--", program], env={"TLSTALL_MODE": mode})
    assert result.status == 0, result
    events = json.loads(exported("perfetto", directory))["traceEvents"]
    begun = [e for e in events if e["ph"] == "b" and e["cat"] == "handshake" and "args" in e]
    assert len(begun) == 2 and {e["tid"] for e in begun} == {record["pid"] for record in records(directory)}


# ---- sqlite ---------------------------------------------------------------------------------


@pytest.fixture(name="database")
def make_database(many, directory):
    path = pathlib.Path(directory) / "tls.db"
    assert exported("sqlite", many, "-o", path) == ""
    assert not path.with_name("tls.db.unfinished").exists()
    with sqlite3.connect(path) as database:
        database.row_factory = sqlite3.Row
        yield database
    database.close()


def test_sqlite(many, database):
    expected = records(many)
    found = database.execute("SELECT * FROM handshakes ORDER BY row").fetchall()
    assert [row["duration_ns"] for row in found] == [r["duration_ns"] for r in expected]
    assert [row["cause"] for row in found] == [r["cause"] for r in expected]
    assert [row["reason"] for row in found] == [r.get("reason") for r in expected]
    (calls,) = database.execute("SELECT count(*) FROM calls").fetchone()
    assert calls == CALLS_MADE * len(expected)
    (states,) = database.execute("SELECT count(*) FROM states").fetchone()
    assert states == sum(len(r["states"]) for r in expected)
    assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_sqlite_views(many, database):
    expected = records(many)
    causes = {row["cause"]: row["handshakes"] for row in database.execute("SELECT * FROM causes")}
    assert causes == collections.Counter(r["cause"] for r in expected)
    slowest = database.execute("SELECT ms FROM slowest LIMIT 3").fetchall()
    assert [row["ms"] for row in slowest] == [r["duration_ns"] / 1e6 for r in
                                              sorted(expected, key=lambda r: -r["duration_ns"])[:3]]
    peers = database.execute("SELECT * FROM peers").fetchall()
    assert sum(row["failed"] for row in peers) == sum(r["outcome"] == "failed" for r in expected)
    servers_see = {r["peer"].rpartition(":")[0] for r in expected if r["role"] == "server"}
    assert servers_see < {row["peer"] for row in peers}, "of a client the port is left out"
    programs = database.execute("SELECT * FROM programs").fetchall()
    assert sum(row["handshakes"] for row in programs) == len(expected)


def test_sqlite_replaces_a_file_when_it_is_whole(many, directory):
    path = pathlib.Path(directory) / "tls.db"
    path.write_text("of old", encoding="utf-8")
    result = export("sqlite", pathlib.Path(directory) / "none.tlstall", "-o", path)
    assert result.status == 1 and path.read_text(encoding="utf-8") == "of old"
    assert export("sqlite", many, "-o", path).status == 0
    assert path.read_bytes().startswith(b"SQLite format 3")


# ---- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["csv", "perfetto", "sqlite", "ctf"])
def test_what_is_incomplete_is_removed(many, directory, name):
    path = pathlib.Path(directory) / "out"
    result = run(["/bin/sh", "-c", 'ulimit -f 16; trap "" XFSZ; exec "$@"', "sh", TLSTALL, "export", "--format", name, "-o",
                  path, many])
    assert result.status == 1 and f"tlstall: writing the export to {path} failed" in result.stderr, result
    assert not list(pathlib.Path(directory).iterdir())


@pytest.mark.parametrize("name", ["csv", "perfetto", "sqlite", "ctf"])
def test_a_full_disk(many, directory, name):
    """A file system of 64 KiB in a namespace of its own."""
    result = run(["unshare", *(["-r"] if os.geteuid() else []), "-m", "/bin/sh", "-c",
                  'mount -t tmpfs -o size=64k none "$0" && "$@"; status=$?; ls -A "$0"; exit $status', directory,
                  TLSTALL, "export", "--format", name, "-o", pathlib.Path(directory) / "out", many])
    assert result.status == 1 and "No space left on device" in result.stderr and not result.stdout, result


@pytest.mark.parametrize("name", ["csv", "perfetto", "sqlite"])
def test_a_directory_instead_of_a_file(many, directory, name):
    result = run([TLSTALL, "export", "--format", name, "-o", directory, many])
    assert result.status == 1 and re.fullmatch(r"tlstall: .*: Is a directory\n", result.stderr), result
    assert not list(directory.parent.glob(f"{directory.name}*.unfinished"))


def test_wrong_use(many):
    for arguments, words in ((["--format", "sqlite", many], "--format sqlite needs -o FILE"),
                             (["--format", "csv"], "no trace given"),
                             ([many], "no format given (--format jsonl|csv|perfetto|sqlite|otlp|clickhouse|ctf)"),
                             (["--format", "csv", "--spool-bytes", "1G", many], "--spool-bytes requires --spool"),
                             (["--format", "html", many], "unknown format 'html'")):
        result = run([TLSTALL, "export", *arguments])
        assert result.status == 2 and words in result.stderr, result


def test_names_that_are_formulas(many, directory):
    """Whoever runs a program chooses its name."""
    program = pathlib.Path(directory) / "=cmd|x"
    program.symlink_to(tracing.PROGRAMS / "blocking")
    run([TLSTALL, "run", "-q", "-d", directory, "--", program])
    (row, *_) = rows(exported("csv", directory))
    assert row["comm"] == "'=cmd|x"
