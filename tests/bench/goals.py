# SPDX-License-Identifier: Apache-2.0
"""The figures of the bench: what each must reach, one row each.

A goal holds for the field that `of` names: the difference that the shim makes
(default), the value itself where nothing is plain, or a share in percent.
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


FIGURES = [
    Figure("dormant SSL_get_error", "dormant, SSL_get_error", "ns", 2, 1),
    Figure("dormant SSL_do_handshake", "dormant, SSL_do_handshake", "ns", 2, 1),
    Figure("dormant SSL_read", "dormant, SSL_read", "ns", 2, 1),
    Figure("SSL_get_error", "SSL_get_error, recorded", "ns", 30, 15),
    Figure("SSL_do_handshake WANT", "SSL_do_handshake = WANT, recorded", "ns", 120, 60),
    Figure("SSL_connect WANT", "SSL_connect = WANT, recorded", "ns", 120, 60),
    Figure("SSL_get_error, TSC", "SSL_get_error, recorded by the TSC", "ns", 30, 15),
    Figure("SSL_do_handshake WANT, TSC", "SSL_do_handshake = WANT, by the TSC", "ns", 120, 60),
    Figure("SSL_read after", "SSL_read after, mode handshake", "ns", 4, 2),
    Figure("SSL_write after", "SSL_write after, mode handshake", "ns", 4, 2),
    Figure("handshake, memory", "one handshake, one side, BIO pair", "us", 2.5, 1.2),
    Figure("handshake share, memory", "  as a share of it", "%", 0.5, None, "value"),
    Figure("handshake, tcp", "one handshake, one side, TCP", "us", 2.5, 1.2),
    Figure("handshake share, tcp", "  as a share of it", "%", 0.5, None, "value"),
    Figure("instructions", "instructions, both sides, BIO pair", "", None),
    Figure("instructions share", "  as a share of it", "%", 0.1, 0.03, "value"),
    Figure("nginx ab", "nginx and ab, CPU per handshake", "us", None),
    Figure("nginx ab share", "  as a share of it", "%", 1, None, "value"),
    Figure("nginx wrk", "nginx and wrk, CPU per handshake", "us", None),
    Figure("nginx wrk share", "  as a share of it", "%", 1, None, "value"),
    Figure("record bytes", "size of a record", "B", 64, None, "value"),
    Figure("trace bytes", "trace of a handshake with 4 calls", "B", 1536, None, "value"),
    Figure("start true", "start-up of true", "us", 60, 20),
    Figure("start openssl", "start-up of openssl version", "us", 200, 100),
    Figure("memory", "private memory beside the trace", "kB", 200),
    Figure("allocations", "allocations in the calls of a handshake", "", 0),
    Figure("threads", "64 threads, cost of a call against 1", "x", 1.5, 1.1, "value"),
    Figure("in flight", "100,000 in flight, cost of a call against 10", "x", 1.5, 1.1, "value"),
    Figure("run lost", "tlstall run, 5,000 handshakes/s: events lost", "", 0, None, "value"),
    Figure("run cpu", "  CPU, --format jsonl", "%", 10, 3, "value"),
    Figure("run cpu text", "  CPU, text", "%", 10, 3, "value"),
    Figure("run cpu counts", "  CPU, -c", "%", 10, 3, "value"),
    Figure("reader", "reader, events decoded", "M/s", 5, 20, "value", at_least=True),
    Figure("report time", "report of 1,000,000 handshakes", "s", 5, None, "value"),
    Figure("report memory", "  its memory", "MB", 500, None, "value"),
    Figure("html", "--html of 100,000 handshakes, opens in", "s", 2, None, "value"),
]
