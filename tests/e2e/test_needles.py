# SPDX-License-Identifier: Apache-2.0
"""A busy server with the default trace size: successes are overwritten, failures are still there."""
import json
import re
import socket
import ssl
import subprocess

import servers
import tracing

GOOD, PROBES, BAD, STORM = 2000, 250, 16, 800


def client(port, authority=None):
    """One handshake; with an authority, the certificate is verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if authority else ssl.CERT_NONE
    if authority:
        context.load_verify_locations(authority)
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        try:
            with context.wrap_socket(plain) as tls:
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                while tls.recv(4096):
                    pass
        except ssl.SSLCertVerificationError:
            pass


def probe(port):
    socket.create_connection(("127.0.0.1", port), 20).close()


def reported(traces):
    report = subprocess.run([tracing.TLSTALL, "report", "--format", "jsonl", traces], check=True,
                            capture_output=True, text=True, env=tracing.environment())
    return [r for r in map(json.loads, report.stdout.splitlines()) if r["type"] == "handshake"]


def serve(authority, start, directory):
    """nginx with the shim's default settings, and the path of its trace."""
    traces = directory / "traces"
    traces.mkdir()
    env = {"LD_PRELOAD": str(tracing.SHIM), "TLSTALL_DIR": str(traces)}
    return start(servers.nginx(authority.ecdsa, env=env)), traces


def test_failures_outlive_successes(authority, start, directory):
    """Of 16 failures among 2,300 handshakes, spread over the whole time, none is lost."""
    server, traces = serve(authority, start, directory)
    for i in range(GOOD):
        client(server.port)
        if i % (GOOD // BAD) == 0:
            client(server.port, authority.ecdsa.cert)
        if i % (GOOD // PROBES) == 0:
            probe(server.port)
    server.end()
    records = reported(traces)
    bad = [r for r in records if r["cause"] == "CERTIFICATE"]
    assert len(bad) == BAD
    assert all(r["peer"] and r["reason"] and r["alerts"] for r in bad)


def test_a_storm_of_failures(authority, start, directory):
    """More than there is room for: the latest are there, and some successes in between."""
    server, traces = serve(authority, start, directory)
    for i in range(STORM):
        client(server.port, authority.ecdsa.cert)
        if i % 100 == 0:
            client(server.port)
    server.end()
    records = sorted(reported(traces), key=lambda r: r["ts_ns"])
    bad = [r for r in records if r["cause"] == "CERTIFICATE"]
    assert len(bad) > 500 and bad[-1] == records[-1]
    told = tracing.run([tracing.TLSTALL, "report", traces])
    assert re.search(r"of the overwritten handshakes, \d+ failed or took long", told.stdout), told
