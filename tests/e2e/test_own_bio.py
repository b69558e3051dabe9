# SPDX-License-Identifier: Apache-2.0
"""Programs with a custom BIO, like curl's, so that only they know their socket: what can be said without
it, and when it is found from outside."""
import contextlib
import pathlib

import pytest

import network
import peer
import servers
import stalls
import tracing

CURL = ["/usr/bin/curl", "-sSk"]
HELLO = "tcp dport != 0 meta length > 100"  # everything except plain acknowledgments


def preloaded(argv, mode, within=None):
    """With the shim only: nobody looks from outside."""
    with stalls.directory_for_traces() as traces:
        tracing.run(argv, env={"LD_PRELOAD": str(tracing.SHIM), "TLSTALL_DIR": str(traces), "TLSTALL_MODE": mode},
                    within=within)
        files = list(pathlib.Path(traces).glob("*.tlstall"))
        records = tracing.run([tracing.TLSTALL, "report", "--format", "jsonl", *files])
    return tracing.Trace(records.stdout).only()


@contextlib.contextmanager
def situation(name, authority):
    """A port, where to run its client, and the client's patience in seconds."""
    with contextlib.ExitStack() as stack:
        if name == "a silent server":
            yield stack.enter_context(peer.Peer(peer.silent_after_hello)).port, None, "1.5"
            return
        if name == "a late server":
            server = stack.enter_context(servers.nginx(authority.ecdsa))
            yield stack.enter_context(peer.Peer(peer.relay(server.port, peer.late(1.5)))).port, None, "20"
            return
        net = stack.enter_context(network.Network())
        server = stack.enter_context(servers.nginx(authority.ecdsa, within=net.far))
        net.far.drop(HELLO if name == "all is lost" else f"{HELLO} limit rate 1/day burst 4 packets")
        yield server.port, net.near, "1.5" if name == "all is lost" else "20"


@pytest.mark.parametrize("mode", ["all", "watch", "handshake"])
@pytest.mark.parametrize("name", ["a silent server", "a late server", "all is lost", "the first packets are lost"])
def test_network_is_a_doubt(name, mode, authority):
    """Without a known socket, peer and network cannot be distinguished, and no verdict claims otherwise."""
    if "lost" in name and (reason := network.why_not()):
        pytest.skip(reason)
    with situation(name, authority) as (port, within, patience):
        handshake = preloaded([*CURL, "-m", patience, f"https://localhost:{port}/"], mode, within)
    assert handshake.confidence == "low" and handshake.peer is None, handshake
    assert {"PEER_SILENT", "TX_NOT_ACKED"} <= {handshake.cause, *handshake.not_told_from}, handshake


def looked_at(argv, ports):
    """Its handshakes while they all hang, and afterwards."""
    with stalls.Traced(argv) as traced:
        traced.hangs()
        live = servers.await_that(
            lambda: len(r := stalls.long_enough(stalls.live_records(traced.traces, traced.process), bool)) == ports
            and r, traced.text)
        return live, traced.end().handshakes


TWO = ["-Z", "--parallel-immediate"]


def test_which_of_two_is_said_not_to_be_known(start):
    """Both have carried the same bytes: their peers are not named, and the output says why. Neither has brought anything."""
    ports = [start(peer.Peer(peer.silent_after_hello)).port for _ in range(2)]
    for records in looked_at([*CURL, *TWO, *(f"https://localhost:{port}/" for port in ports)], 2):
        assert [r.peer for r in records] == [None, None], records
        assert {r.confidence for r in records} == {"medium"}, records
        assert all("2 connections of the process fit" in str(r.evidence) for r in records), records


def test_one_among_others_is_found(start):
    """A plain HTTP connection carried other bytes: it does not count as the handshake's."""
    secret, plain = (start(peer.Peer(behave)).port for behave in (peer.silent_after_hello, peer.silent_after_accept))
    for records in looked_at([*CURL, *TWO, f"http://localhost:{plain}/{'x' * 900}", f"https://localhost:{secret}/"], 1):
        assert [(r.peer, r.confidence) for r in records] == [(f"127.0.0.1:{secret}", "high")], records
