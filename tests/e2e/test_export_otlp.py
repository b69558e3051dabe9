# SPDX-License-Identifier: Apache-2.0
"""tlstall export --format otlp: what an OpenTelemetry collector receives."""
import json
import re
import select
import subprocess
import sys

import pytest

import made
import peer
import servers
import tracing
from collector import Collector
from serving import traced
from test_export_follow import Follow, curl
from tracing import TLSTALL, run

# uses a descriptor that OpenSSL knows
CLIENT = """import socket, ssl, sys
plain = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
ssl._create_unverified_context().wrap_socket(plain, server_hostname="localhost").close()
"""
KINDS = {"server": 2, "client": 3}


def export(source, url, **env):
    return run([TLSTALL, "export", "--format", "otlp", "-o", url, source], env=env)


def records(source):
    return [json.loads(line) for line in run([TLSTALL, "export", "--format", "jsonl", source]).stdout.splitlines()]


@pytest.fixture(scope="module")
def many():
    maker = made.Maker()
    yield maker.make(2000)
    maker.stop()


def test_a_span_for_each(many, start):
    collector = start(Collector())
    result = export(many, collector.url)
    assert result.status == 0 and not result.stderr, result
    expected = records(many)
    assert len(collector.spans) == len(expected) == 2000
    for span, record in zip(collector.spans, expected):
        a = span.attributes
        assert (span.name, span.kind) == ("TLS handshake", KINDS[record["role"]])
        assert (span.start, span.end) == (record["ts_ns"], record["ts_ns"] + record["duration_ns"])
        for key in ("outcome", "cause", "fault", "confidence", "calls", "retries", "bytes_in"):
            assert a[f"tlstall.{key}"] == record[key], (key, record)
        assert a.get("tlstall.evidence", "") == "; ".join(record["evidence"])
        assert a["tls.established"] == (record["outcome"] == "ok")
        is_error = record["outcome"] != "ok" and record["cause"] != "NONE"
        assert a.get("error.type") == (record["cause"] if is_error else None)
        assert span.code == (2 if is_error else 0)
        assert span.resource["process.pid"] == record["pid"] and span.resource["service.name"] == record["comm"]
        states = [(e[2]["tls.state.name"], e[1] - span.start) for e in span.events if e[0] == "tls.state"]
        assert states == [(s["state"], s["at_ns"]) for s in record["states"]]
    ids = {span.ids for span in collector.spans}
    assert len(ids) == 2000 and all(len(t) == 16 and len(s) == 8 for t, s in ids)
    assert max(collector.sizes) <= 512 and len(collector.sizes) >= 4, collector.sizes
    path, headers = collector.requests[0]
    assert path == "/v1/traces" and headers["Content-Type"] == "application/x-protobuf"


def test_nothing_wrong_is_no_error(directory, start):
    subprocess.run([tracing.PROGRAMS / "stateless"], env=traced(directory), stdout=subprocess.DEVNULL, check=True)
    collector = start(Collector())
    assert export(directory, collector.url).status == 0
    given_up, = [s for s in collector.spans if s.kind == KINDS["server"] and s.attributes["tlstall.outcome"] == "abandoned"]
    assert given_up.attributes["tlstall.cause"] == "NONE"
    assert "error.type" not in given_up.attributes and given_up.code == 0 and not given_up.message


def test_a_real_program(directory, authority, start):
    server = start(servers.s_server(authority.ecdsa))
    subprocess.run([sys.executable, "-c", CLIENT, str(server.port)], env=traced(directory), check=True)
    silent = start(peer.Peer(peer.silent_after_hello))  # a peer that closes may finish before curl reads: no retry
    curl(directory, silent.port, "-m", "1")
    collector = start(Collector())
    assert export(directory, collector.url, OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer x,X-Scope=a b").status == 0
    good, bad = sorted(collector.spans, key=lambda s: s.code)
    a = good.attributes
    assert (a["tls.protocol.name"], a["tls.protocol.version"]) == ("tls", "1.3")
    assert a["tls.cipher"].startswith("TLS_") and a["tls.client.server_name"] == "localhost" and a["tls.resumed"] is False
    assert (a["network.peer.address"], a["network.peer.port"]) == ("127.0.0.1", server.port)
    assert (a["server.address"], a["server.port"], a["network.type"]) == ("localhost", server.port, "ipv4")
    retries = [e for e in bad.events if e[0] == "tls.retry"]
    assert len(retries) == bad.attributes["tlstall.calls"] > 1, "each was to be repeated"
    assert {e[2]["error.type"] for e in retries} == {"SSL_ERROR_WANT_READ"}
    assert retries[0][2]["code.function.name"] == "SSL_connect"
    assert all(s.start <= e[1] <= s.end for s in (good, bad) for e in s.events)
    assert bad.attributes["error.type"] == "PEER_SILENT" and bad.attributes["tlstall.evidence"] and bad.message
    headers = collector.requests[0][1]
    assert headers["Authorization"] == "Bearer x" and headers["X-Scope"] == "a b"


@pytest.mark.parametrize("said,sent", [("Bearer%20x", "Bearer x"), ("a%2Cb%3d", "a,b="), ("100%", "100%"), ("%4", "%4"), ("%zz%41%00", "%zzA%00")])
def test_headers_are_percent_encoded(many, start, said, sent):
    collector = start(Collector())
    assert export(many, collector.url, OTEL_EXPORTER_OTLP_HEADERS=f"X-Token={said}").status == 0
    assert {headers["X-Token"] for _, headers in collector.requests} == {sent}


def test_headers_that_forge_headers(many, start):
    collector = start(Collector())
    result = export(many, collector.url, OTEL_EXPORTER_OTLP_HEADERS="X-Token=a%0d%0aX-Other: b")
    assert result.status == 1 and "control characters cannot be sent in the header X-Token" in result.stderr, result
    assert collector.requests == []


@pytest.mark.parametrize("answer", [503, 429, 502, 504, 0])
def test_what_is_not_taken_is_sent_again(many, start, answer):
    collector = start(Collector(answer, answer))
    result = export(many, collector.url)
    assert result.status == 0 and "; retrying" in result.stderr, result
    assert len({span.ids for span in collector.spans}) == len(collector.spans) == 2000
    assert result.stderr.count("\n") == 1, "said once"


def test_headers_are_whole(many, start):
    collector, token = start(Collector()), "t" * 5000
    assert export(many, collector.url, OTEL_EXPORTER_OTLP_HEADERS=f"Authorization=Bearer {token}").status == 0
    assert {headers["Authorization"] for _, headers in collector.requests} == {f"Bearer {token}"}


def test_what_is_refused_is_not_sent_again(many, start):
    collector = start(Collector(400))
    result = export(many, collector.url)
    refused, = re.findall(r"refused (\d+) spans: HTTP status 400", result.stderr)
    assert result.status == 1 and f"the collector did not accept {refused} spans" in result.stderr, result
    assert 0 < int(refused) <= 512 and len(collector.spans) == 2000 - int(refused)


def test_what_is_refused_of_a_batch_that_was_taken(many, start):
    """ExportTraceServiceResponse { partial_success { rejected_spans: 3, error_message: ... } }"""
    why = b"too old " * 40
    partial = b"\x08\x03\x12" + bytes([len(why) & 127 | 128, len(why) >> 7]) + why
    collector = start(Collector(body=b"\x0a" + bytes([len(partial) & 127 | 128, len(partial) >> 7]) + partial))
    result = export(many, collector.url)
    told = re.findall(r"^tlstall: the collector refused 3 of (\d+) spans: too old too old", result.stderr, re.M)
    assert sum(map(int, told)) == len(collector.spans) == 2000, result
    assert result.status == 1 and f"the collector did not accept {3 * len(told)} spans" in result.stderr, result


@pytest.mark.parametrize("body", [b"", b"{}", b"\x0a\x00", b"\x0a\x02\x12\x00", b"\x0a\x7f\x08\x03", b"x" * 5000])
def test_answers_that_refuse_nothing(many, start, body):
    collector = start(Collector(body=body))
    result = export(many, collector.url)
    assert (result.status, result.stderr) == (0, "") and len(collector.spans) == 2000, result


def test_follow_while_the_collector_is_away(directory, authority, start):
    server = start(servers.s_server(authority.ecdsa))
    port = servers.free_port()
    follow = start(Follow("--format", "otlp", "-o", f"http://127.0.0.1:{port}/v1/traces", directory))
    # a traced program that is seen is proof that it follows
    while not select.select([follow.process.stderr], [], [], 3)[0]:
        curl(directory, server.port)
    assert "; retrying" in follow.process.stderr.readline()  # nobody is listening
    curl(directory, server.port)
    collector = start(Collector(port=port))
    collector.wait(2)
    assert follow.stop() == (0, "", "")  # all were sent
    assert {span.attributes["tlstall.outcome"] for span in collector.spans} == {"ok"}
    assert len({span.ids for span in collector.spans}) == len(collector.spans) >= 2


@pytest.mark.parametrize("arguments", [[], ["-o", "-"]])
def test_it_needs_a_url(directory, arguments):
    result = run([TLSTALL, "export", "--format", "otlp", *arguments, directory])
    assert result.status == 2 and "needs -o URL" in result.stderr, result


@pytest.mark.parametrize("name", ["otlp", "clickhouse"])
@pytest.mark.parametrize("path", ["file:///etc/passwd", "localhost:4318"])
def test_what_is_no_url(many, name, path):
    result = run([TLSTALL, "export", "--format", name, "-o", path, many])
    assert result.status == 2 and f"'{path}' is not a URL" in result.stderr, result
