# SPDX-License-Identifier: Apache-2.0
"""tlstall export --format clickhouse: what a real clickhouse-server has then, and what happens when it is away."""
import csv
import json
import re

import pytest

import made
import servers
import tracing
from clickhouse import ClickHouse, statements
from servers import await_that
from test_export_follow import CURL
from tracing import TLSTALL, run


def export(source, url, *arguments, **env):
    return run([TLSTALL, "export", "--format", "clickhouse", "-o", url, *arguments, source], env=env)


def records(source):
    return [json.loads(line) for line in run([TLSTALL, "export", "--format", "jsonl", source]).stdout.splitlines()]


def columns(source):
    text = run([TLSTALL, "export", "--format", "csv", source]).stdout
    return list(csv.DictReader(text.splitlines(keepends=True), strict=True))


@pytest.fixture(scope="module")
def many():
    maker = made.Maker()
    yield maker.make(2000)
    maker.stop()


@pytest.fixture(scope="module")
def shared():
    server = ClickHouse()
    yield server
    server.stop()


@pytest.fixture(name="server")
def fresh_server(shared):
    return shared.fresh()


@pytest.fixture(name="peer")
def tls_server(authority, start):
    return start(servers.s_server(authority.ecdsa))


# ---- what arrives ------------------------------------------------------------------------


def test_rows_are_the_records(many, server):
    result = export(many, server.url)
    assert result.status == 0 and not result.stderr, result
    found = server.rows("SELECT * FROM handshakes ORDER BY handshake")
    expected, cells = records(many), columns(many)
    assert len(found) == len(expected) == len(cells) == 2000
    common = set(found[0]) & set().union(*expected) - {"evidence"}
    assert {"ts_ns", "host", "comm", "peer", "sni", "outcome", "cause", "fault", "duration_ns", "cipher", "reason"} <= common
    for row, record, cell in zip(found, expected, cells):
        empty = {"resumed": None}
        for name in common:
            wanted = record.get(name, empty.get(name, 0 if isinstance(row[name], int) else ""))
            assert row[name] == wanted, (name, record)
        assert row["evidence"] == "; ".join(record["evidence"])
        assert all(row[f"{part}_ns"] == record["time"][f"{part}_ns"] for part in ("cpu", "gap_waiting", "gap_ready", "other"))
        for name, text in cell.items():
            assert str(row[name] if row[name] is not None else "") == text or (text == "" and row[name] == 0), (name, cell)


def test_what_is_sent_twice_is_there_once(many, server):
    assert [export(many, server.url).status for _ in range(2)] == [0, 0]
    assert server.count() == 2000
    # it does nothing while the server merges parts by itself
    await_that(lambda: (server.ask("OPTIMIZE TABLE handshakes FINAL"), server.ask("SELECT count() FROM handshakes"))[1] == "2000\n",
               lambda: server.rows("SELECT name, rows FROM system.parts WHERE active AND table = 'handshakes'"))
    assert int(server.ask("SELECT countMerge(handshakes) FROM handshakes_by_minute")) == 4000, "as schema.sql says"


def test_the_questions_have_answers(many, server):
    assert export(many, server.url).status == 0
    expected = records(many)
    questions = statements("questions.sql")
    assert len(questions) == 10
    middle = str(expected[1000]["ts_ns"] // 10 ** 9)
    answers = [server.rows(re.sub(r"'2026-[^']*'", "'2026-01-01 00:00:00'" if "deploy" not in q else middle, q))
               for q in questions]
    assert all(answers[:6]) and all(answers[7:])
    causes = {row["cause"]: int(row["handshakes"]) for row in answers[1]}
    assert causes == {cause: sum(r["cause"] == cause for r in expected)
                      for cause in {r["cause"] for r in expected} - {"NONE"}}


def test_hostile_names(directory, server):
    """Of a program, and in server names: what JSON, SQL or a shell would take for its own."""
    maker = made.Maker()
    try:
        assert export(maker.make(99, "hostile"), server.url).status == 0
    finally:
        maker.stop()
    (attack,) = server.rows("SELECT sni, count() AS n FROM handshakes WHERE sni LIKE '%script%' GROUP BY sni")
    assert attack["sni"].startswith("</script><script>") and attack["n"] == 33
    for number, name in enumerate(["a'b\"c\\d", "x\n{}\t1", "\udcff\udcfe;DROP", "\u202eevil"]):
        program = directory / name
        program.symlink_to(tracing.PROGRAMS / "blocking")
        run([TLSTALL, "run", "-q", "-d", directory / str(number), "--", program])
        (record, *_) = records(directory / str(number))
        assert export(directory / str(number), server.fresh().url).status == 0
        assert server.rows("SELECT DISTINCT comm FROM handshakes") == [{"comm": record["comm"]}]


def test_which_build_and_caller(directory, peer, server):
    """Of a running process its file tells; its path and the caller are those of the trace."""
    run([TLSTALL, "run", "-q", "-d", directory, "--", CURL, "-sk", "-o", "/dev/null", f"https://localhost:{peer.port}/"])
    assert export(directory, server.url).status == 0
    (row,) = server.rows("SELECT program, build, caller FROM handshakes")
    notes = run(["readelf", "-n", CURL]).stdout
    assert row["program"] == CURL and f"Build ID: {row['build']}\n" in notes
    assert re.fullmatch(r"libcurl\.so\.4[.0-9]*\+0x[0-9a-f]+", row["caller"])


# ---- who may -------------------------------------------------------------------------------


def test_user_and_password(many, server, directory):
    secret = directory / "secret"
    secret.write_text('ocean "blue"\n', encoding="utf-8")
    for env in ({"CLICKHOUSE_PASSWORD": 'ocean "blue"'}, {"CLICKHOUSE_PASSWORD_FILE": str(secret)}):
        result = export(many, server.fresh().url, CLICKHOUSE_USER="writer", **env)
        assert result.status == 0 and server.count() == 2000, result


@pytest.mark.parametrize("url", ["http://me:secret@127.0.0.1/", "http://127.0.0.1/?user=me&password=secret"])
def test_no_password_in_the_url(many, url):
    result = export(many, url)
    assert result.status == 2 and "no password in a URL" in result.stderr, result


@pytest.mark.parametrize("arguments,words", [(["--format", "csv", "--spool", "x"], "--format csv has no spool"),
                                             (["--format", "clickhouse"], "--format clickhouse needs -o URL"),
                                             (["--format", "clickhouse", "--spool-bytes", "much"], "invalid size 'much'")])
def test_wrong_use(many, arguments, words):
    result = run([TLSTALL, "export", *arguments, many])
    assert result.status == 2 and words in result.stderr, result
