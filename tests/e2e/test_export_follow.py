# SPDX-License-Identifier: Apache-2.0
"""tlstall export --follow: handshakes of running programs, as they end."""
import csv
import json
import select
import signal
import subprocess

import pytest

import peer
import schema
import servers
import tracing
from serving import traced
from tracing import TLSTALL, run

CURL = "/usr/bin/curl"


class Follow:
    def __init__(self, *arguments, stdout=subprocess.PIPE):
        self.process = subprocess.Popen([str(TLSTALL), "export", "--follow", *map(str, arguments)], stdout=stdout,
                                        stderr=subprocess.PIPE, text=True, env=tracing.environment())

    def line(self):
        return self.process.stdout.readline()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        rest, error = self.process.communicate(timeout=20)
        return self.process.returncode, rest, error


def curl(directory, port, *options):
    subprocess.run([CURL, "-sk", *options, f"https://localhost:{port}/"], env=traced(directory), check=False,
                   stdout=subprocess.DEVNULL)


@pytest.fixture(name="server")
def one_server(authority, start):
    return start(servers.s_server(authority.ecdsa))


def test_jsonl(directory, server, start):
    curl(directory, server.port)  # ended before
    follow = start(Follow("--format", "jsonl", directory))
    refusing = start(peer.Peer(peer.close_after_hello))
    # following has begun once a traced program's handshake appears
    while not select.select([follow.process.stdout], [], [], 2)[0]:
        curl(directory, refusing.port)
    seen = [json.loads(follow.line())]
    curl(directory, server.port)
    while (record := json.loads(follow.line()))["outcome"] != "ok":
        seen.append(record)
    for each in [record, *seen]:
        schema.check(each)
    assert {r["cause"] for r in seen} == {"PEER_CLOSED"} and record["cause"] == "NONE"
    status, rest, error = follow.stop()
    assert (status, error) == (0, "") and "PEER_CLOSED" not in rest


def test_csv(directory, server, start):
    follow = start(Follow("--format", "csv", directory))
    names = next(csv.reader([follow.line()]))
    curl(directory, server.port)
    row = dict(zip(names, next(csv.reader([follow.line()]))))
    assert row["outcome"] == "ok" and row["comm"] == "curl" and row["trace"].startswith(str(directory))
    assert follow.stop() == (0, "", "")


def test_to_a_file(directory, server, start):
    (directory / "traces").mkdir()
    path = directory / "out.jsonl"
    follow = start(Follow("--format", "jsonl", "-o", path, directory / "traces"))
    servers.await_that(path.exists, "it has begun")
    curl(directory / "traces", server.port)
    servers.await_that(path.read_text, "it is written at once")
    assert json.loads(path.read_text())["outcome"] == "ok"
    assert follow.stop() == (0, "", "")
    assert json.loads(path.read_text())["outcome"] == "ok", "it stays"


def test_a_reader_that_leaves(directory, start):
    follow = start(Follow("--format", "jsonl", directory))
    follow.process.stdout.close()
    assert follow.process.wait(20) == 1
    assert "Broken pipe" in follow.process.stderr.read()
    follow.process.stderr.close()
    follow.stop = lambda: None


@pytest.mark.parametrize("command", [["export", "--format", "jsonl", "--follow"], ["serve", "-l", "127.0.0.1:0"]])
def test_a_file_instead_of_a_directory(directory, command):
    (directory / "x.tlstall").touch()
    result = run([TLSTALL, *command, directory, directory / "x.tlstall"])
    assert (result.status, result.stderr) == (1, f"tlstall: {directory}/x.tlstall: Not a directory\n"), result


def test_a_directory_that_comes_later(directory, server, start):
    follow = start(Follow("--format", "jsonl", directory / "later"))
    assert follow.process.stderr.readline() == \
        f"tlstall: {directory}/later does not exist (its traces are followed when it does)\n"
    refusing = start(peer.Peer(peer.close_after_hello))
    while not select.select([follow.process.stdout], [], [], 2)[0]:
        curl(directory / "later", refusing.port)
    assert json.loads(follow.line())["cause"] == "PEER_CLOSED"
    assert follow.stop()[0] == 0


@pytest.mark.parametrize("name", ["perfetto", "sqlite"])
def test_what_needs_an_end_cannot_follow(directory, name):
    result = run([TLSTALL, "export", "--format", name, "-o", directory / "x", "--follow", directory])
    assert result.status == 2 and "cannot follow" in result.stderr, result
