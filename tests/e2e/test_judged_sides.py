# SPDX-License-Identifier: Apache-2.0
"""More verdicts that an independent judge found wrong: a peer was blamed for what the program had done itself."""
import socket
import ssl
import subprocess
import threading
import time

import pytest

import peer
import servers
import stalls
from stalls import PYTHON, Traced, ending
from test_judged import MODES, in_mode, looked_at, said


@MODES
@pytest.mark.parametrize("how", [[], ["nonblocking"]])
def test_written_into_a_memory_bio(how, mode, start):
    """The peer never got a ClientHello: nobody takes it out of the BIO."""
    silent = start(peer.Peer(peer.silent_after_hello)).port
    with Traced([stalls.STALLS / "written_elsewhere", "memory", *how, silent], env=in_mode(mode)) as traced:
        live = traced.hangs()
        looked = looked_at(traced.target())
        final = traced.end().only()
    for record in live, final:
        assert (record.cause, record.fault) == ("BIO_NOT_PUMPED", "program"), record
    assert looked.fault == "program", looked


NO_ROLE = "my $tls = Net::SSLeay::new(Net::SSLeay::CTX_new()); Net::SSLeay::set_fd($tls, 1); " \
          "Net::SSLeay::do_handshake($tls);"


@MODES
def test_no_role(mode):
    """SSL_do_handshake without SSL_set_connect_state or SSL_set_accept_state: no matter of two sides."""
    final = ending(["/usr/bin/perl", "-MNet::SSLeay", "-e", NO_ROLE], env=in_mode(mode)).final
    assert (final.cause, final.fault) == ("WRONG_ROLE", "program"), final
    assert "SSL_set_connect_state" in final.advice, final


POOL = """import os, socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
def serve():
    while True:
        try:
            with context.wrap_socket(listener.accept()[0], server_side=True) as tls:
                tls.recv(1)
        except OSError:
            pass
if sys.argv[3] == "threads":
    threading.Thread(target=serve, daemon=True).start()
else:
    os.fork()
serve()
"""


def greet(port):
    """A client that has finished its handshake, and keeps its worker."""
    context = ssl._create_unverified_context()
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port)))


@MODES
@pytest.mark.parametrize("workers", ["threads", "processes"])
def test_silent_client_of_one_worker_of_several(workers, mode, authority):
    """Each accepts and makes blocking handshakes by itself: a silent client holds up one, the other goes on."""
    with Traced([PYTHON, "-c", POOL, authority.rsa.cert, authority.rsa.key, workers],
                env=in_mode(mode)) as traced:
        port = int(servers.await_that(lambda: traced.text().split(), "its port")[0])
        with greet(port), greet(port):
            pass  # each worker has made one
        with socket.create_connection(("127.0.0.1", port)):
            live = traced.hangs(lambda r: not r.bytes_in and r.outcome == "in_flight")
            greet(port).close()
        trace = traced.end()
    final = [r for r in trace.handshakes if stalls.same(live)(r)][-1]
    assert (live.cause, live.fault) == ("PEER_SILENT", "peer"), live
    assert final.cause in ("PEER_SILENT", "PEER_CLOSED") and final.fault == "peer", final


ACCEPTS = """import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *arguments):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.socket.getsockname()[1], flush=True)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@MODES
def test_silent_client_of_the_thread_that_accepts(mode, authority):
    """It makes all handshakes, and other threads read from the connections: they accept nobody."""
    with Traced([PYTHON, "-c", ACCEPTS, authority.rsa.cert, authority.rsa.key], env=in_mode(mode)) as traced:
        port = int(servers.await_that(lambda: traced.text().split(), "its port")[0])
        for _ in range(5):
            with greet(port) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.0 200")
        with socket.create_connection(("127.0.0.1", port)):
            live = traced.hangs(lambda r: not r.bytes_in and r.outcome == "in_flight")
        greet(port).close()  # the silent client's end was noticed
        trace = traced.end()
    final = [r for r in trace.handshakes if stalls.same(live)(r)][-1]
    for record in live, final:
        assert (record.cause, record.fault) == ("ACCEPT_LOOP_BLOCKED", "program"), record


STARTTLS = """import asyncio, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
async def serve(reader, writer):
    await reader.readline()
    writer.write(b"OK\\r\\n")
    await writer.start_tls(context)
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@MODES
def test_client_that_is_silent_after_starttls(mode, authority):
    """The server's BIO is in memory, and its connection has carried text of before TLS."""
    with Traced([PYTHON, "-c", STARTTLS, authority.rsa.cert, authority.rsa.key], env=in_mode(mode)) as traced:
        port = int(servers.await_that(lambda: traced.text().split(), "its port")[0])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"STARTTLS\r\n")
            assert client.recv(100) == b"OK\r\n"
            live = traced.hangs()
            final = traced.end().only()
    for record in live, final:
        assert (record.cause, record.fault, record.confidence) == ("PEER_SILENT", "peer", "medium"), record


NOT_CALLED_AGAIN = """import socket, ssl, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
tls = ssl._create_unverified_context().wrap_socket(connection, do_handshake_on_connect=False)
tls.setblocking(False)
try:
    tls.do_handshake()
except ssl.SSLWantReadError:
    print("waits", flush=True)
    sys.stdin.read()
"""


@MODES
@pytest.mark.parametrize("behave, cause, words", [
    (peer.close_after_hello, "WRONG_INTEREST APP_NOT_RESUMING", "the peer closed the connection"),
    (peer.reset_after_hello, "PEER_SILENT", "no connection on its descriptor")], ids=["end", "reset"])
def test_hang_up_that_goes_unnoticed(behave, cause, words, mode, start):
    """The peer ends the connection, and the program does not call again: that is not a byte unread."""
    waits = threading.Event()
    server = start(peer.Peer(lambda *both: waits.wait(20) and behave(*both)))
    with Traced([PYTHON, "-c", NOT_CALLED_AGAIN, server.port], env=in_mode(mode), stdin=subprocess.PIPE) as traced:
        servers.await_that(lambda: "waits" in traced.text(), "its first call returns")
        waits.set()
        live = traced.hangs(lambda r: r.cause in cause)
        final = traced.end().only()
        traced.process.stdin.close()
    for record in live, final:
        assert record.cause in cause and words in said(record), record
        assert cause != "PEER_SILENT" or (record.confidence, "PEER_CLOSED" in record.not_told_from) == ("low", True)


GREETED = """import socket, ssl, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.recv(100)
ssl._create_unverified_context().wrap_socket(connection)
"""


@MODES
def test_late_greeting(mode, start, authority):
    """A mail server that greets its clients late keeps the program from TLS."""
    with servers.nginx(authority.rsa) as server:
        def greets_late(connection, upstream):
            time.sleep(2)  # what it is about
            connection.sendall(b"220 welcome\r\n")
            while data := upstream.recv(65536):
                connection.sendall(data)

        mail = start(peer.Peer(peer.relay(server.port, greets_late)))
        final = ending([PYTHON, "-c", GREETED, mail.port], env=in_mode(mode)).final
    assert final.outcome == "ok" and final.cause != "LATE_START", final
