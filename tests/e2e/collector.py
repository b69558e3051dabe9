# SPDX-License-Identifier: Apache-2.0
"""A stand-in for an OpenTelemetry collector; it decodes requests by the specification's field numbers."""
import collections
import http.server
import struct
import threading

# From opentelemetry/proto: {message: {number: (name, kind)}}. A kind that is a message's name is nested.
MESSAGES = {
    "Request": {1: ("resource_spans", "ResourceSpans")},
    "ResourceSpans": {1: ("resource", "Resource"), 2: ("scope_spans", "ScopeSpans"), 3: ("schema_url", "string")},
    "Resource": {1: ("attributes", "KeyValue"), 2: ("dropped_attributes_count", "varint")},
    "ScopeSpans": {1: ("scope", "Scope"), 2: ("spans", "Span"), 3: ("schema_url", "string")},
    "Scope": {1: ("name", "string"), 2: ("version", "string")},
    "Span": {1: ("trace_id", "bytes"), 2: ("span_id", "bytes"), 3: ("trace_state", "string"), 4: ("parent_span_id", "bytes"),
             5: ("name", "string"), 6: ("kind", "varint"), 7: ("start_time_unix_nano", "fixed64"),
             8: ("end_time_unix_nano", "fixed64"), 9: ("attributes", "KeyValue"), 10: ("dropped_attributes_count", "varint"),
             11: ("events", "Event"), 12: ("dropped_events_count", "varint"), 15: ("status", "Status"), 16: ("flags", "fixed32")},
    "Event": {1: ("time_unix_nano", "fixed64"), 2: ("name", "string"), 3: ("attributes", "KeyValue")},
    "Status": {2: ("message", "string"), 3: ("code", "varint")},
    "KeyValue": {1: ("key", "string"), 2: ("value", "AnyValue")},
    "AnyValue": {1: ("string", "string"), 2: ("bool", "varint"), 3: ("int", "varint"), 4: ("double", "fixed64")},
}
WIRE = {"varint": 0, "fixed64": 1, "fixed32": 5}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def decode(message, data):
    """{name: [values]}; a field that the specification does not know is an error."""
    found, at = collections.defaultdict(list), 0
    while at < len(data):
        tag, at = varint(data, at)
        name, kind = MESSAGES[message][tag >> 3]
        assert tag & 7 == WIRE.get(kind, 2), (message, name)
        if kind == "varint":
            value, at = varint(data, at)
        elif kind in WIRE:
            size = 8 if kind == "fixed64" else 4
            value, at = struct.unpack("<Q" if size == 8 else "<I", data[at:at + size])[0], at + size
        else:
            size, at = varint(data, at)
            assert at + size <= len(data), (message, name)
            value, at = data[at:at + size], at + size
            value = value.decode() if kind == "string" else value if kind == "bytes" else decode(kind, value)
        found[name].append(value)
    return found


def attributes(message):
    found = {}
    for each in message["attributes"]:
        (kind, value), = each["value"][0].items() if each["value"][0] else [("string", [""])]
        found[each["key"][0]] = bool(value[0]) if kind == "bool" else value[0]
    return found


class Span:
    def __init__(self, resource, span):
        self.resource, self.attributes = attributes(resource), attributes(span)
        self.name, self.kind = span["name"][0], span["kind"][0]
        self.start, self.end = span["start_time_unix_nano"][0], span["end_time_unix_nano"][0]
        self.ids = span["trace_id"][0], span["span_id"][0]
        self.events = [(event["name"][0], event["time_unix_nano"][0], attributes(event)) for event in span["events"]]
        status = span["status"][0]
        self.code, self.message = status.get("code", [0])[0], status.get("message", [""])[0]


class Collector:
    """`answers`: statuses of the first requests, 0 for no answer; then 200. `body`: of each answer."""

    def __init__(self, *answers, port=0, body=b""):
        collector = self
        self.body = body

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = collector.take(self.path, self.headers, body)
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(collector.body)))
                self.end_headers()
                self.wfile.write(collector.body)

            def log_message(self, *_):
                pass

        self.answers, self.requests, self.spans, self.sizes = list(answers), [], [], []
        self.changed = threading.Condition()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1/traces"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def take(self, path, headers, body):
        with self.changed:
            self.requests.append((path, dict(headers)))
            status = self.answers.pop(0) if self.answers else 200
            if status == 200:
                request = decode("Request", body)
                self.sizes.append(len(request["resource_spans"]))
                self.spans += [Span(resource["resource"][0], span) for resource in request["resource_spans"]
                               for scope in resource["scope_spans"] for span in scope["spans"]]
            self.changed.notify_all()
            return status

    def wait(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.spans) >= count, 30), (len(self.spans), self.requests)

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
