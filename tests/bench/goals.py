# SPDX-License-Identifier: Apache-2.0
"""The figures of the bench and the goal of each, one per row.

A goal applies to the field that `of` names: the difference that the shim makes (default), the value
itself if there is no plain one, or a share in percent.
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Figure:
    key: str
    title: str
    unit: str
    must: float | None = None
    stretch: float | None = None
    of: str = "difference"
    at_least: bool = False

    def reached(self, goal, value):
        return value >= goal if self.at_least else value <= goal

    def verdict(self, row):
        value = row.get(self.of)
        if self.must is None or value is None:
            return ""
        if self.stretch is not None and self.reached(self.stretch, value):
            return "stretch"
        return "met" if self.reached(self.must, value) else "NOT MET"


# First the cost of enabling tlstall everywhere, then the rest.
FIGURES = [
    Figure("nginx steady share, watch", "nginx and one client that lives on, watch: CPU per handshake", "%", 1, None, "value"),
    Figure("nginx steady, watch", "  as a time", "us", None),
    Figure("nginx steady share, all", "the same, all", "%", None, None, "value"),
    Figure("nginx steady, all", "  as a time", "us", None),
    Figure("first handshake", "a client process's first handshake, watch, trace on tmpfs", "us", 300, 150),
    Figure("first handshake, disk", "  trace in the directory for temporary files", "us", 300, 150),
    Figure("handshake, tcp, watch", "one side of a TCP handshake, watch", "us", 2.5, 1.5),
    Figure("handshake share, tcp, watch", "  as a share of it", "%", None, None, "value"),
    Figure("handshake, tcp", "one side of a TCP handshake, all", "us", 10, 6),
    Figure("handshake share, tcp", "  as a share of it", "%", None, None, "value"),
    Figure("handshake, memory, watch", "one side, BIO pair, watch", "us", 2.5, 1.2),
    Figure("handshake share, memory, watch", "  as a share of it", "%", None, None, "value"),
    Figure("handshake, memory", "one side, BIO pair, all", "us", None),
    Figure("handshake share, memory", "  as a share of it", "%", None, None, "value"),
    Figure("instructions share, watch", "instructions, both sides, watch", "%", 0.08, 0.06, "value"),
    Figure("instructions, watch", "  their number", "", None),
    Figure("instructions share", "instructions, both sides, all", "%", None, None, "value"),
    Figure("instructions", "  their number", "", None),
    Figure("SSL_do_handshake WANT, watch", "SSL_do_handshake = WANT recorded, watch", "ns", 60, 40),
    Figure("SSL_connect WANT, watch", "  SSL_connect = WANT", "ns", 60, 40),
    Figure("SSL_do_handshake WANT", "SSL_do_handshake = WANT recorded, all", "ns", 120, 60),
    Figure("SSL_connect WANT", "  SSL_connect = WANT", "ns", 120, 60),
    Figure("SSL_do_handshake WANT, TSC", "  SSL_do_handshake = WANT, by the TSC", "ns", 120, 60),
    Figure("SSL_get_error, watch", "SSL_get_error recorded, watch", "ns", 10),
    Figure("SSL_get_error", "SSL_get_error recorded, all", "ns", 30, 15),
    Figure("SSL_get_error, TSC", "  by the TSC", "ns", 30, 15),
    Figure("system calls, watch", "system calls, one side of a healthy handshake, watch", "", 0),
    Figure("system calls, all", "  all", "", None),
    Figure("start true", "start-up of true, beyond an empty preload", "us", 60, 20),
    Figure("start openssl", "start-up of openssl version, the same", "us", 120, 100),
    Figure("threads", "64 threads, cost of a call against 1", "x", 1.2, 1.05, "value"),
    Figure("in flight 100000, watch", "100,000 in flight, added per call, watch", "ns", 500),
    Figure("in flight, watch", "  its growth from 10, against plain's", "x", 1, None, "value"),
    Figure("in flight 100000", "100,000 in flight, added per call, all", "ns", 500),
    Figure("in flight", "  its growth from 10, against plain's", "x", 1, None, "value"),
    Figure("history bytes, watch", "history of a healthy handshake, watch", "B", 192, 128, "value"),
    Figure("trace size", "trace file of one good handshake, watch", "KiB", 64, 16, "value"),
    Figure("trace size, all", "  all", "KiB", 64, 16, "value"),
    Figure("run cpu", "run --format jsonl, 5,000 handshakes/s, all: CPU", "%", 8, None, "value"),
    Figure("run lost", "  events lost", "", 0, None, "value"),
    Figure("run cpu, watch", "run --format jsonl, 5,000 handshakes/s, watch: CPU", "%", 3, None, "value"),
    Figure("run lost, watch", "  handshakes lost", "", 0, None, "value"),
    Figure("memory, watch", "private memory beside the trace, watch", "kB", 64),
    Figure("memory", "  all", "kB", 64),

    Figure("dormant SSL_get_error", "dormant, SSL_get_error", "ns", 2, 1),
    Figure("dormant SSL_do_handshake", "dormant, SSL_do_handshake", "ns", 2, 1),
    Figure("dormant SSL_read", "dormant, SSL_read", "ns", 2, 1),
    Figure("SSL_read after", "SSL_read after, mode handshake", "ns", 4, 2),
    Figure("SSL_write after", "SSL_write after, mode handshake", "ns", 4, 2),
    Figure("nginx ab", "nginx and new clients (ab), CPU per handshake", "us", None),
    Figure("nginx ab share", "  as a share of it", "%", None, None, "value"),
    Figure("nginx wrk", "nginx and new clients (wrk), CPU per handshake", "us", None),
    Figure("nginx wrk share", "  as a share of it", "%", None, None, "value"),
    Figure("record bytes", "size of a record", "B", 64, None, "value"),
    Figure("trace bytes", "trace of a handshake with 4 calls", "B", 1536, None, "value"),
    Figure("allocations", "allocations in the calls of a handshake", "", 0),
    Figure("run cpu text", "run, text, 5,000 handshakes/s: CPU", "%", 10, 3, "value"),
    Figure("run cpu counts", "  -c", "%", 10, 3, "value"),
    Figure("reader", "reader, events decoded", "M/s", 5, 20, "value", at_least=True),
    Figure("report time", "report of 1,000,000 handshakes", "s", 5, None, "value"),
    Figure("report memory", "  its memory", "MB", 500, None, "value"),
    Figure("html", "--html of 100,000 handshakes, opens in", "s", 2, None, "value"),
]
