# SPDX-License-Identifier: Apache-2.0
"""DTLS: lost datagrams, the retransmission timer, and peers that drop silently."""

import socket

import datagrams
import servers
import stalls
from stalls import ending, hanging, reproduction

CLIENT = stalls.STALLS / "dtls_client"


def path_to(start, certificate, loses):
    server = start(datagrams.s_server(certificate))
    return start(datagrams.Path(server.port, loses)).port


def check_dtls(seen):
    for record in seen.records():
        assert record.confidence != "high", record
        assert "accept queue" not in record.advice, record
    return seen



# ---- lost and retransmitted ---------------------------------------------------------------


@reproduction("DTLS_LOST", "network", "a C program", "its ClientHello is lost twice, and repeated after 1 s and 2 s")
def test_lost_timer(authority, start):
    seen = ending([CLIENT, "timer", path_to(start, authority.ecdsa, datagrams.first_of_client(2))])
    assert seen.final.outcome == "ok" and seen.final.duration_ns > 2.9e9
    return check_dtls(seen)


@reproduction("DTLS_LOST", "network", "a C program, blocking", "its ClientHello is lost, and repeated by OpenSSL itself")
def test_lost_blocking(authority, start):
    seen = ending([CLIENT, "blocking", path_to(start, authority.ecdsa, datagrams.first_of_client(1))])
    assert seen.final.outcome == "ok" and seen.final.duration_ns > 0.9e9
    return check_dtls(seen)


@reproduction("DTLS_LOST", "network", "a C program", "the larger datagrams of the server's flight do not get through")
def test_large_ones_lost(authority, start):
    port = path_to(start, authority.rsa, datagrams.large_ones_of_server(200))
    return check_dtls(hanging([CLIENT, "again", port]))


@reproduction("DTLS_TIMER_NOT_DRIVEN", "program", "a C program", "its ClientHello is lost, and it waits for ever")
def test_timer_not_driven(authority, start):
    port = path_to(start, authority.ecdsa, datagrams.first_of_client(1))
    seen = hanging([CLIENT, "forgetful", port])
    assert "DTLSv1_handle_timeout" in seen.final.advice
    assert "DTLS_LOST" in seen.final.not_told_from
    return check_dtls(seen)


# ---- no answer -----------------------------------------------------------------------------


@reproduction("PEER_SILENT", "peer", "a C program over DTLS", "no answer comes, although its timer runs")
def test_no_answer(authority, start):
    port = path_to(start, authority.ecdsa, datagrams.all_of_it)
    seen = hanging([CLIENT, "timer", port])
    assert "DTLS_LOST" in seen.final.not_told_from and seen.final.confidence == "low"
    return check_dtls(seen)


@reproduction("PEER_SILENT", "peer", "a C program, a BIO of its own over UDP", "the peer is silent, in a blocking call")
def test_own_bio():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        seen = hanging([stalls.STALLS / "custom_bio", silent.getsockname()[1], "udp"])
    for record in seen.records():
        assert "DTLS_LOST" in record.not_told_from and "TX_NOT_ACKED" not in record.not_told_from, record
        assert "CALLBACK_BLOCKED" not in [record.cause, *(v["cause"] for v in record.also or [])], record
    return check_dtls(seen)


@reproduction("DTLS_REFUSED", "peer", "openssl s_client -dtls", "nobody listens on the port")
def test_nobody_listens():
    seen = ending(["/usr/bin/openssl", "s_client", "-dtls", "-connect", f"127.0.0.1:{servers.free_port()}"])
    assert "Connection refused" in seen.evidence()
    return seen


@reproduction("PEER_SILENT", "peer", "openssl s_server -dtls", "its client vanishes after the first flight")
def test_client_vanishes(authority):
    def gone(count, _data, by_client):
        return by_client and count > 2

    def vanish(server):
        return VanishingClient(server.port, gone)

    return check_dtls(stalls.serving(
        lambda **more: datagrams.s_server(authority.ecdsa, **more), vanish,
        which=lambda record: record.role == "server"))


class VanishingClient:
    def __init__(self, port, loses):
        self.path = datagrams.Path(port, loses)
        self.program = stalls.Running([CLIENT, "timer", self.path.port])

    def __enter__(self):
        return self.program.__enter__()

    def __exit__(self, *how):
        self.program.__exit__(*how)
        self.path.close()


# ---- DTLS inside another protocol ---------------------------------------------------------------


OPENVPN = """
client
dev null
proto udp4
remote 127.0.0.1 {port}
nobind
ca {cert}
cert {cert}
key {key}
connect-retry-max 1
"""


@reproduction("BIO_STARVED", "unknown", "OpenVPN, memory BIOs", "the server's host takes its packets and is silent")
def test_openvpn(authority, directory):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        config = directory / "client.conf"
        config.write_text(OPENVPN.format(port=silent.getsockname()[1], cert=authority.client.cert,
                                         key=authority.client.key))
        seen = hanging(["/usr/sbin/openvpn", config])
    assert "BIO_NOT_PUMPED" in seen.final.not_told_from
    for record in seen.records():
        assert record.confidence == "low" and "is still in the BIO" in "\n".join(record.evidence), record
    return seen
