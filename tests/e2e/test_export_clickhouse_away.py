# SPDX-License-Identifier: Apache-2.0
"""tlstall export --format clickhouse: nothing is lost while the server is away, answers badly, or the agent is killed."""
import json
import re
import subprocess
import time
import urllib.parse

import pytest

import made
import servers
import tracing
from clickhouse import Answering, ClickHouse
from servers import await_that
from test_export_clickhouse import export
from test_export_follow import curl
from tracing import TLSTALL

LIMITED = ["/bin/sh", "-c", 'ulimit -f 1; exec "$@"', "sh"]  # 512 or 1024 bytes: no row fits


@pytest.fixture(scope="module")
def many():
    maker = made.Maker()
    yield maker.make(2000)
    maker.stop()


class Agent:
    """Follows with a spool; `prefix`: a command to run it under."""

    def __init__(self, port, directory, *arguments, prefix=(), **env):
        self.spool, self.port = directory / "spool", port
        url = f"http://127.0.0.1:{port}/?database=tls"
        self.errors, self.read = directory / f"errors-{time.monotonic_ns()}", 0
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen([*prefix, str(TLSTALL), "export", "--follow", "--format", "clickhouse", "-o", url,
                                             "--spool", str(self.spool), *arguments, str(directory / "traces")],
                                            stdout=subprocess.DEVNULL, stderr=errors, env=tracing.environment(**env))
        try:
            await_that(lambda: self.process.poll() is not None or (self.spool / "followed").exists(), "it runs")
        except BaseException:
            self.stop()
            raise

    def spooled(self):
        """Whole rows that lie there."""
        lines = [line for path in sorted(self.spool.glob("*.rows")) for line in path.read_text().splitlines(keepends=True)]
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def unread(self):
        return self.errors.read_text()[self.read:]

    def says(self, words):
        await_that(lambda: words in self.unread(), lambda: f"{words} in {self.unread()}", 60)
        self.read += self.unread().index(words) + len(words)
        self.read += self.unread().index("\n") + 1

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)

    def end(self):
        """The status, and what it says that was not read yet."""
        self.stop()
        return self.process.returncode, self.unread()

    def fails(self):
        """Why it does not even begin."""
        assert self.process.wait(60) == 1
        return self.unread()

    def kill(self):
        self.process.kill()
        self.process.wait(20)


class Traced:
    def __init__(self, directory, port):
        (directory / "traces").mkdir()
        self.directory, self.port = directory, port

    def handshakes(self, count, seen):
        """So many, each awaited."""
        for _ in range(count):
            before = seen()
            curl(self.directory / "traces", self.port)
            await_that(lambda: seen() > before, "a handshake is seen")  # pylint: disable=cell-var-from-loop

    def unseen(self, count):
        for _ in range(count):
            curl(self.directory / "traces", self.port)


@pytest.fixture(name="traced")
def traced_programs(directory, authority, start):
    return Traced(directory, start(servers.s_server(authority.ecdsa)).port)


@pytest.fixture(name="agent")
def start_agent(directory, start, traced):  # pylint: disable=unused-argument
    return lambda port, *arguments, **options: start(Agent(port, directory, *arguments, **options))


def test_a_server_that_is_away_and_comes_back(start, traced, agent):
    server = start(ClickHouse(begin=False))
    follow = agent(server.port)
    traced.handshakes(1, lambda: len(follow.spooled()))
    follow.says("retrying")
    traced.handshakes(2, lambda: len(follow.spooled()))
    server.begin()
    server.fresh()
    await_that(lambda: server.count() == 3, "all are there", 60)
    await_that(lambda: not list(follow.spool.glob("*.rows")), "nothing waits", 60)
    assert follow.end() == (0, "")


def test_an_agent_that_is_killed_loses_nothing(start, traced, agent):
    server = start(ClickHouse())
    away = servers.free_port()
    follow = agent(away)
    traced.handshakes(2, lambda: len(follow.spooled()))
    follow.kill()
    traced.unseen(2)  # while there is none
    with open(sorted(follow.spool.glob("*.rows"))[-1], "a", encoding="utf-8") as rows:
        rows.write('{"ts_ns":1,"host":"half a ro')  # as a kill may leave it
    server.fresh()
    again = agent(server.port)
    await_that(lambda: server.count() == 4, lambda: f"{server.count()} of 4", 60)
    traced.handshakes(1, server.count)
    assert again.end() == (0, "")
    assert server.count() == 5 and server.rows("SELECT DISTINCT outcome, comm FROM handshakes") == [
        {"outcome": "ok", "comm": "curl"}]


def test_what_is_left_at_the_end_is_sent_the_next_time(start, traced, agent):
    follow = agent(servers.free_port())
    traced.handshakes(2, lambda: len(follow.spooled()))
    status, error = follow.end()
    assert status == 0 and "remain in" in error and len(follow.spooled()) == 2
    stand = start(Answering())
    again = agent(stand.port)
    stand.wait(2)
    assert again.end() == (0, "")
    assert len({row["ts_ns"] for row in stand.rows}) == 2 and not again.spooled()


@pytest.mark.parametrize("answer", [500, 503, 429, 404, 401, 0])
def test_what_is_not_taken_is_sent_again(many, start, answer):
    stand = start(Answering(answer, answer))
    result = export(many, stand.url)
    assert result.status == 0 and result.stderr.count("\n") == 1 and "retrying" in result.stderr, result
    assert len({row["handshake"] for row in stand.rows}) == len(stand.rows) == 2000


def test_what_is_refused_is_set_aside(many, start, directory):
    stand = start(Answering(400))
    result = export(many, stand.url, "--spool", directory / "spool")
    assert result.status == 1 and "the server refused 2000 handshakes: HTTP status 400" in result.stderr, result
    (refused,) = (directory / "spool").glob("*.refused")
    assert len(refused.read_text().splitlines()) == 2000 and not stand.rows
    refused.rename(refused.with_suffix(".rows"))  # repaired
    assert export(many, stand.url, "--spool", directory / "spool").status == 0
    assert len(stand.rows) == 4000 and stand.sizes[0] == 2000, "what waited went first"


UNPARSABLE = '{"ts_ns":[]}\n'


def waiting(directory, *batches):
    """A spool with these batches."""
    spool = directory / "spool"
    spool.mkdir(0o700, exist_ok=True)
    for number, rows in enumerate(batches, 1):
        (spool / f"{number:016x}.rows").write_text(rows, encoding="utf-8")
    return spool


def good(number):
    return json.dumps({"ts_ns": 1700000000000000000 + number, "host": "h", "pid": number}) + "\n"


def set_aside(spool, status, error):
    (said,) = re.findall(rf"the server refused 1 handshake: {status}.*", error)
    assert f"; it is in {spool}/{1:016x}.refused (once the cause is repaired, rename it to .rows" in said
    assert not list(spool.glob("*.rows")) and (spool / f"{1:016x}.refused").read_text() == UNPARSABLE


def test_what_the_server_cannot_parse_does_not_block_the_rest(many, start, directory):
    """The old ClickHouse answers 500 to that, as to everything else that it cannot do."""
    server = start(ClickHouse())
    server.fresh()
    spool = waiting(directory, UNPARSABLE, good(1), good(2))
    result = export(many, server.url, "--spool", spool)
    assert result.status == 1 and server.count() == 2002, result
    set_aside(spool, "HTTP status (?:500|400): Code:", result.stderr)


def test_a_batch_that_fails_lets_others_go_first(start, traced, agent, directory):
    """While it follows: set aside when the server has taken enough others, and counted."""
    spool = waiting(directory, UNPARSABLE)
    stand = start(Answering())
    stand.unparsable = UNPARSABLE
    follow = agent(stand.port)
    follow.says("HTTP status 500; retrying")
    traced.handshakes(1, lambda: len(stand.rows))
    assert list(spool.glob("*1.rows")), "one other tells nothing"
    traced.handshakes(2, lambda: len(stand.rows))
    await_that(lambda: list(spool.glob("*.refused")), "it is set aside", 60)
    traced.handshakes(1, lambda: len(stand.rows))
    status, error = follow.end()
    assert status == 1 and "the server did not accept 1 handshake\n" in error and len(stand.rows) == 4, error
    set_aside(spool, "HTTP status 500", follow.errors.read_text())


def test_a_file_of_any_number(many, start, directory):
    """Numbers that the next file cannot have, as it counts on from them."""
    spool = waiting(directory)
    (spool / f"{2 ** 64 - 1:016x}.rows").write_text(good(1), encoding="utf-8")
    stand = start(Answering(503))
    result = export(many, stand.url, "--spool", spool)
    assert result.status == 0 and sorted(stand.sizes) == [1, 2000], result
    assert "cannot be written" not in result.stderr and not list(spool.glob("*.rows")), result


def test_a_file_that_is_too_large(many, start, directory):
    spool = waiting(directory, good(1))
    with open(spool / f"{1:016x}.rows", "r+b") as file:
        file.truncate(5 << 30)
    stand = start(Answering())
    result = export(many, stand.url, "--spool", spool, "--spool-bytes", "6G")
    assert f"{spool}/{1:016x}.rows is too large to be sent: split it between lines" in result.stderr, result
    assert len(stand.rows) == 2000 and (spool / f"{1:016x}.rows").stat().st_size == 5 << 30


def test_a_full_spool(start, traced, agent):
    follow = agent(servers.free_port(), "--spool-bytes", "2500")  # a row has 700 to 1000 bytes
    traced.handshakes(1, lambda: len(follow.spooled()))
    traced.unseen(5)
    follow.says("the spool is full")
    status, error = follow.end()
    (dropped,) = re.findall(r"did not accept (\d+) handshakes?\n", error)
    assert status == 1 and int(dropped) >= 1 and 1 <= len(follow.spooled()) <= 5, error
    assert sum(path.stat().st_size for path in follow.spool.iterdir()) <= 2500


def test_a_full_disk(start, traced, agent):
    port = servers.free_port()
    follow = agent(port, prefix=LIMITED)
    traced.unseen(1)
    follow.says("File too large; handshakes wait in memory")
    follow.says("retrying")
    traced.unseen(2)
    stand = start(Answering(port=port))
    stand.wait(3)
    assert follow.end() == (0, "") and not follow.spooled()


def test_what_no_file_has_does_not_remain(traced, agent):
    follow = agent(servers.free_port(), prefix=LIMITED)
    traced.unseen(1)
    follow.says("File too large; handshakes wait in memory")
    status, error = follow.end()
    assert status == 1 and "the server did not accept 1 handshake\n" in error and "remain in" not in error, error
    assert not follow.spooled()


def test_two_agents_and_one_spool(directory, agent):
    agent(servers.free_port())
    assert "another process uses it" in Agent(servers.free_port(), directory).fails()


def test_a_spool_that_others_may_write_to(directory, traced):  # pylint: disable=unused-argument
    (directory / "spool").mkdir()
    (directory / "spool").chmod(0o777)
    assert "other users can write to this directory" in Agent(servers.free_port(), directory).fails()


def test_a_link_is_not_followed(start, traced, agent, directory):
    """Nor is what is no file of ours sent."""
    secret = directory / "secret"
    secret.write_text('{"host":"secret"}\n', encoding="utf-8")
    (directory / "spool").mkdir(0o700)
    (directory / "spool" / f"{1:016x}.rows").symlink_to(secret)
    stand = start(Answering())
    follow = agent(stand.port)
    traced.handshakes(1, lambda: len(stand.rows))
    assert follow.end()[0] == 0 and [row["comm"] for row in stand.rows] == ["curl"]


def test_the_password_comes_from_a_file(start, traced, agent, directory):
    secret = directory / "secret"
    secret.write_text("one\ntwo\n", encoding="utf-8")
    stand = start(Answering())
    follow = agent(stand.port, CLICKHOUSE_USER="me", CLICKHOUSE_PASSWORD_FILE=str(secret))
    traced.handshakes(1, lambda: len(stand.rows))
    assert follow.end() == (0, "")
    path, headers = stand.requests[0]
    assert (headers["X-ClickHouse-User"], headers["X-ClickHouse-Key"]) == ("me", "one")
    assert "one" not in path and "INSERT%20INTO%20handshakes%20FORMAT%20JSONEachRow" in path


def test_names_and_passwords_are_whole(many, start, directory):
    """However long; a file whose first line does not end is none."""
    stand, long = start(Answering()), "x" * 3000
    assert export(many, stand.url, CLICKHOUSE_USER=long + "u", CLICKHOUSE_PASSWORD=long + "p").status == 0
    secret = directory / "secret"
    secret.write_text(long + "f\n", encoding="utf-8")
    assert export(many, stand.url, CLICKHOUSE_PASSWORD_FILE=str(secret)).status == 0
    sent = [(headers["X-ClickHouse-User"], headers["X-ClickHouse-Key"]) for _, headers in stand.requests]
    assert sent == [(long + "u", long + "p"), ("default", long + "f")]
    secret.write_text(long * 2 + "f\n", encoding="utf-8")
    result = export(many, stand.url, CLICKHOUSE_PASSWORD_FILE=str(secret))
    assert result.status == 1 and f"{secret}: its first line is too long for a password" in result.stderr, result
    assert len(stand.requests) == 2


@pytest.mark.parametrize("said,asked", [
    ("", {"query": "INSERT INTO handshakes FORMAT JSONEachRow", "input_format_skip_unknown_fields": "1"}),
    ("?database=tls&replace_running_query=1",
     {"database": "tls", "replace_running_query": "1", "query": "INSERT INTO handshakes FORMAT JSONEachRow",
      "input_format_skip_unknown_fields": "1"}),
    ("?input_format_skip_unknown_fields=0&query=INSERT%20INTO%20mine%20FORMAT%20JSONEachRow",
     {"query": "INSERT INTO mine FORMAT JSONEachRow", "input_format_skip_unknown_fields": "0"}),
])
def test_the_query_is_added_where_it_is_not(many, start, said, asked):
    stand = start(Answering())
    assert export(many, f"http://127.0.0.1:{stand.port}/{said}").status == 0
    (path, _), *_ = stand.requests
    assert sorted(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query)) == sorted(asked.items())
