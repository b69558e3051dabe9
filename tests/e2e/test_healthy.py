# SPDX-License-Identifier: Apache-2.0
"""Good handshakes of all programs raise no alarm, nor do those over a long and lossy path. And the
document's confusion table covers all reproductions."""
import importlib
import pathlib
import re

import pytest

import confusion
import datagrams
import servers
import stalls
import test_clients
import tracing

AB = ["/usr/bin/ab", "-q", "-S"]


def several(argv, times):
    """Several at once."""
    command = " ".join(f"'{argument}'" for argument in map(str, argv))
    return ["/bin/sh", "-c", f"for i in $(seq {times}); do {command} </dev/null & done; wait"]


def is_calm(handshake):
    return handshake.cause == "NONE" and handshake.fault == "none"


def check_calm(trace, at_least):
    good = [h for h in trace.handshakes if h.outcome == "ok"]
    alarms = [h for h in good if not is_calm(h)]
    assert not alarms, (len(alarms), alarms[0].cause, alarms[0].evidence)
    assert len(good) >= at_least, trace.handshakes
    return good


EACH = 6


@pytest.mark.parametrize("name", [n for n in test_clients.CLIENTS if n not in ("ab", "wrk")])
def test_clients_are_calm(name, authority, request, start):
    client = test_clients.CLIENTS[name]
    server = test_clients.server_of(client, authority, request, start)
    result = tracing.traced(several(client.command(server.port, authority), EACH))
    check_calm(result.trace, EACH)


def test_load_is_calm(authority, start):
    """ab and wrk, with nginx as their server."""
    server = start(servers.nginx(authority.ecdsa, trace=True))
    url = f"https://127.0.0.1:{server.port}/"
    ab = tracing.traced([*AB, "-n", "300", "-c", "4", url])
    check_calm(ab.trace, 300)
    wrk = tracing.traced(["/usr/bin/wrk", "-t1", "-c8", "-d1s", "-H", "Connection: close", url])
    check_calm(wrk.trace, 50)
    server.end()
    check_calm(server.trace.check(), 350)


@pytest.mark.parametrize("name", ["curl", "python", "s_client", "asyncio", "ruby", "php", "perl"])
def test_far_clients_are_calm(name, authority, make_network, start):
    """100 ms in each direction, and 1 % packet loss each way."""
    net = make_network(delay=0.1, loss=0.01)
    client = test_clients.CLIENTS[name]
    server = start(getattr(servers, client.server)(authority.ecdsa, within=net.far))
    result = tracing.traced(several(client.command(server.port, authority), EACH), within=net.near)
    check_far(result.trace, EACH)


def test_far_load_is_calm(authority, make_network, start):
    net = make_network(delay=0.1, loss=0.01)
    server = start(servers.nginx(authority.ecdsa, within=net.far, trace=True))
    result = tracing.traced([*AB, "-n", "100", "-c", "25", f"https://127.0.0.1:{server.port}/"],
                            within=net.near)
    check_far(result.trace, 95)
    server.end()
    check_far(server.trace.check(), 95)


def check_steps(trace):
    """Each client had to prove its address, then succeeded: no failure, nothing abandoned."""
    good = check_calm(trace, 1)
    steps = [h for h in trace.handshakes if h.outcome != "ok"]
    assert all(map(is_calm, steps)), steps
    return good


def test_cookies_are_steps(authority, start):
    """A HelloRetryRequest with a cookie: SSL_stateless."""
    server = start(servers.s_server(authority.ecdsa, only=servers.TLS13, more=["-stateless"], trace=True))
    result = tracing.run(["/usr/bin/openssl", "s_client", "-brief", "-connect", f"127.0.0.1:{server.port}"])
    assert "CONNECTION ESTABLISHED" in result.stderr, result
    server.await_handshake()
    server.end()
    check_steps(server.trace.check())


def test_hello_verify_requests_are_steps(authority, start):
    """DTLSv1_listen."""
    server = start(datagrams.s_server(authority.ecdsa, "-listen", trace=True))
    result = tracing.run(["/usr/bin/openssl", "s_client", "-brief", "-dtls", "-connect", f"127.0.0.1:{server.port}"])
    assert "CONNECTION ESTABLISHED" in result.stderr, result
    server.await_handshake()
    server.end()
    check_steps(server.trace.check())


def check_far(trace, at_least):
    """If a packet was really lost, at a cost of a second, blaming the network is not a false alarm."""
    good = [h for h in trace.handshakes if h.outcome == "ok"]
    alarms = [h for h in good if not is_calm(h) and h.fault not in ("network", "none")]
    assert not alarms, (len(alarms), alarms[0].cause, alarms[0].evidence)
    quick = [h for h in good if h.duration_ns < 1e9]
    # near and far lose one of 100 packets each: so do two of the six clients, if these matter
    assert all(map(is_calm, quick)) and len(good) - len(quick) <= max(2, 0.2 * len(good)), good
    assert len(good) >= at_least, trace.handshakes


def test_the_table_tells_of_all():
    for module in pathlib.Path(__file__).parent.glob("test_causes_*.py"):
        importlib.import_module(module.stem)
    text = (tracing.ROOT / "doc/DIAGNOSIS.md").read_text()
    wanted = {(r.program, r.what) for r in stalls.REPRODUCTIONS}
    assert len(wanted) == len(stalls.REPRODUCTIONS) >= 30
    assert confusion.rows_of_document(text) == wanted, "run `make confusion`"
    counts = re.search(r"(\d+) reproductions of \d+ causes: (\d+) right, 0 wrong, 0 UNKNOWN", text)
    assert counts and int(counts[1]) == int(counts[2]) == len(wanted)
