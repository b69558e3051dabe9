# SPDX-License-Identifier: Apache-2.0
"""Bytes before TLS: left over from plain text, or a PROXY header that only one side expects."""
import socket
import ssl

import peer
import servers
import stalls
from stalls import PYTHON, ending, reproduction
from test_causes_configuration import check_refusal, curl, of_server, s_client

TALKS = [PYTHON, stalls.CLIENTS / "talks.py"]


def server_context(certificate, only=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    if only == servers.TLS12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def upgrades(certificate, greeting, agrees, only=None):
    """Sends a greeting, answers one line with `agrees`, then begins TLS."""
    context = server_context(certificate, only)

    def behave(_peer, connection):
        connection.sendall(greeting)
        connection.recv(1000)
        connection.sendall(agrees)
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(100)

    return behave


# ---- unread plain text --------------------------------------------------------------


@reproduction("STARTTLS_LEFTOVER", "program", "python3, FTP", "it reads one of the two lines of the answer to AUTH TLS")
def test_ftp(authority, start):
    port = start(peer.Peer(upgrades(authority.ecdsa, b"220 ready\r\n", b"234-Proceed\r\n234 go on\r\n"))).port
    seen = ending([*TALKS, port, "AUTH TLS"])
    assert "11 B of that were unread" in seen.evidence() and seen.final.confidence == "high"
    return check_refusal(seen, "wrong version number")


@reproduction("STARTTLS_LEFTOVER", "program", "python3, IMAP in TLS 1.2", "it does not read the end of the line")
def test_imap(authority, start):
    port = start(peer.Peer(upgrades(authority.ecdsa, b"* OK IMAP4rev1\r\n", b"a OK Begin TLS\r\n",
                                    only=servers.TLS12))).port
    seen = ending([*TALKS, port, "a STARTTLS", "14"])
    assert "2 B of that were unread" in seen.evidence()
    return check_refusal(seen, "wrong version number")


def refuses_starttls(_peer, connection):
    connection.sendall(b"220 mail.example ESMTP\r\n")
    connection.recv(1000)
    connection.sendall(b"454 TLS not available\r\n")
    peer.read_record(connection)
    connection.sendall(b"500 what?\r\n")
    peer.wait_for_eof(connection)


@reproduction("PLAINTEXT_PEER", "configuration", "python3, SMTP", "it begins TLS although the server refused STARTTLS")
def test_refused(start):
    seen = ending([*TALKS, start(peer.Peer(refuses_starttls)).port, "STARTTLS"])
    assert "had carried 10 B out and 47 B in" in seen.evidence()
    assert "STARTTLS_LEFTOVER" in seen.final.not_told_from and seen.final.confidence == "medium"
    return check_refusal(seen, "wrong version number")


# ---- the PROXY header ------------------------------------------------------------------

PROXY = "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443"


def tells_the_version(_peer, connection):
    """As OpenSSL does when it finds a PROXY header instead of a record; reads everything, so that its
    alert arrives."""
    connection.recv(len(PROXY) + 2, socket.MSG_WAITALL)
    peer.read_record(connection)
    connection.sendall(b"\x15\x03\x01\0\x02\x02\x46")
    peer.wait_for_eof(connection)


@reproduction("PROXY_HEADER", "configuration", "python3, a proxy", "the server expects no PROXY header, and sends an alert")
def test_header_not_expected(start):
    seen = ending([*TALKS, start(peer.Peer(tells_the_version)).port, PROXY, "0"])
    assert "42 B were sent before the ClientHello" in seen.evidence()
    return check_refusal(seen, "protocol version")


@reproduction("PEER_CLOSED", "peer", "python3, a proxy", "stunnel expects no PROXY header, and resets the connection",
              also="PROXY_HEADER")
def test_header_resets(authority, start):
    return ending([*TALKS, start(servers.stunnel(authority.ecdsa, 1)).port, PROXY, "0"])


@reproduction("PROXY_HEADER", "configuration", "python3, a proxy", "it is answered as a bad http request")
def test_header_answered_by_http(authority, start):
    port = start(servers.nginx(authority.ecdsa)).port
    return check_refusal(ending([*TALKS, port, PROXY, "0"]), "wrong version number")


@reproduction("PLAINTEXT_PEER", "configuration", "stunnel", "its client sends a PROXY header")
def test_server_gets_header(authority):
    seen = of_server(lambda **more: servers.stunnel(authority.ecdsa, 1, **more),
                     lambda port: curl(port, "--haproxy-protocol"))
    assert "PROXY_HEADER" in seen.final.not_told_from and "PROXY" in seen.final.advice
    return check_refusal(seen, "wrong version number")


@reproduction("PEER_CLOSED", "peer", "openssl s_client", "the server expects a PROXY header")
def test_header_missing(authority, start):
    port = start(servers.nginx(authority.ecdsa, listen="proxy_protocol")).port
    seen = ending(s_client(port))
    assert "never sent a byte of TLS" in seen.evidence() and "PROXY" in seen.final.advice
    return seen


def leaves_unread(_peer, connection):
    """Like a server whose access list lacks this client. Awaits the ClientHello without reading it,
    which causes a reset."""
    connection.recv(1, socket.MSG_PEEK)


@reproduction("PEER_CLOSED", "peer", "psql", "the server closes with the ClientHello unread")
def test_access_list(start):
    port = start(peer.Peer(leaves_unread, preamble=peer.postgres_preamble)).port
    seen = ending(["/usr/bin/psql", f"host=127.0.0.1 port={port} user=test sslmode=require", "-c", ""])
    assert "access list" in seen.final.advice
    return seen


# ---- without a socket ----------------------------------------------------------------------


@reproduction("BAD_DESCRIPTOR", "program", "python3", "its descriptor was closed before the handshake")
def test_bad_descriptor(authority, start):
    seen = ending([PYTHON, stalls.CLIENTS / "closes.py", start(servers.nginx(authority.ecdsa)).port])
    assert "Bad file descriptor" in seen.evidence()
    return seen
