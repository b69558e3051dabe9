# SPDX-License-Identifier: Apache-2.0
"""The live page of tlstall serve, in a real browser, and its server-sent events."""
import base64
import contextlib
import json
import re
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

import made
import peer
import schema
import servers
import tracing
from browsing import Page, open_browser
from servers import await_that
from serving import DIRECT, Agent, traced

HOSTILE = "<img src=x onerror=alert(1)></script>"
CLIENTS = 16


class Client:
    """openssl s_client that requests `name`; it ends when the server closes the connection."""

    def __init__(self, directory, port, name="localhost"):
        self.process = subprocess.Popen(
            ["/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name], env=traced(directory),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Events:
    """What the agent streams."""

    def __init__(self, agent, query="", **headers):
        request = urllib.request.Request(agent.url + "events" + query, headers=headers)
        self.stream = DIRECT.open(request, timeout=20)

    def next(self, name=None):
        """(name, data, id) of the next event, or of the next with that name."""
        while True:
            fields = {}
            while line := self.stream.readline().decode().rstrip("\n"):
                key, _, value = line.partition(": ")
                fields[key] = value
            if name in (None, fields["event"]):
                return fields["event"], json.loads(fields["data"]), fields.get("id")

    def stop(self):
        self.stream.close()


@pytest.fixture(scope="module")
def browser():
    driver = open_browser()
    yield driver
    driver.quit()


@pytest.fixture
def silent(start):
    return start(peer.Peer(peer.silent_after_hello))


@pytest.fixture
def many(directory, start):
    """An agent that knows some 3,000 handshakes: .known is what it reports about them."""
    maker = start(made.Maker())
    state = directory / "counted"
    state.write_text("1\n")  # count everything that has ended since
    agent = start(Agent("--state", state, maker.make(3000).parent))
    agent.known = agent.handshakes()
    assert len(agent.known) > 2900
    return agent


def curl(directory, port):
    return subprocess.run(["/usr/bin/curl", "-sk", f"https://localhost:{port}/"], env=traced(directory), check=False,
                          stdout=subprocess.DEVNULL).returncode


def in_list(page, words):
    """The text of the only row, once it has all of the words."""
    rows = page.js("return [...document.querySelectorAll('#rows .row')].map(row => row.innerText.replace(/\\s+/g, ' '))")
    return len(rows) == 1 and all(word in rows[0] for word in words) and rows[0]


# ---- the page ------------------------------------------------------------------------


def test_a_handshake_that_hangs_and_then_ends(browser, directory, start, silent):
    agent = start(Agent(directory))
    page = Page(browser, agent.url)
    assert "No handshakes yet" in page.text("#headline")
    client = start(Client(directory, silent.port, HOSTILE))
    await_that(lambda: in_list(page, [HOSTILE, "in flight", "PEER_SILENT", "openssl"]),
               lambda: f"it is listed: {page.text('body')} {page.complaints()}", 60)
    text = page.open_first()
    assert "The peer does not answer" in text and f"127.0.0.1:{silent.port}" in text and HOSTILE in text, text
    assert f"pid {client.process.pid}" in text and "SSLv3/TLS write client hello" in text
    silent.hang_up()
    await_that(lambda: in_list(page, [HOSTILE, "failed"]), lambda: f"its end is listed: {page.text('#list')}", 60)
    (record,) = await_that(lambda: [r for r in agent.handshakes() if r.outcome == "failed"], "its end is told")
    await_that(lambda: f"{record.cause}" in page.text("#detail") and "failed" in page.text("#detail header"),
               lambda: f"the panel tells its end: {page.text('#detail')}")
    assert page.shown() == 1 and page.text(".tile-value") == "1"
    assert page.js("return document.querySelectorAll('img, #rows script, #detail script').length") == 0
    assert page.complaints() == []
    assert {url for url in page.requests() if not url.startswith(("about:", "data:"))} == {agent.url, agent.url + "events"}


def test_a_process_that_is_killed(browser, directory, start, silent):
    agent = start(Agent(directory))
    page = Page(browser, agent.url)
    client = start(Client(directory, silent.port))
    await_that(lambda: in_list(page, ["in flight", "PEER_SILENT"]), lambda: f"it is listed: {page.text('body')}", 60)
    client.stop()
    await_that(lambda: in_list(page, ["abandoned", "PEER_SILENT"]), lambda: f"its end is listed: {page.text('body')}", 60)
    tiles = page.js("return Object.fromEntries([...document.querySelectorAll('.tile')].map(t => t.innerText.split('\\n')))")
    assert tiles["In flight"] == "0" and tiles["Handshakes"] == "1", tiles


def test_what_the_reader_looks_at_stays(browser, directory, authority, start, silent):
    server = start(servers.s_server(authority.ecdsa))
    agent = start(Agent(directory))
    page = Page(browser, agent.url)
    client = start(Client(directory, silent.port))
    await_that(lambda: in_list(page, ["PEER_SILENT"]), "it is listed", 60)
    page.open_first()
    page.search("outcome:in_flight")
    assert [curl(directory, server.port) for _ in range(3)] == [0, 0, 0]
    await_that(lambda: page.text("#shown") == "1 of 4", lambda: f"all are counted: {page.text('#shown')}", 60)
    assert in_list(page, ["in flight", "PEER_SILENT"])
    assert f"pid {client.process.pid}" in page.text("#detail")
    assert page.js("return app.query") == page.js("return document.getElementById('search').value") == "outcome:in_flight"


def test_an_agent_that_was_restarted(browser, directory, authority, start):
    server = start(servers.s_server(authority.ecdsa))
    address = f"127.0.0.1:{servers.free_port()}"  # which nobody takes meanwhile
    agent = start(Agent(directory, listen=address))
    page = Page(browser, agent.url)
    curl(directory, server.port)
    await_that(lambda: in_list(page, ["ok"]), "it is listed", 60)
    assert agent.stop() == (0, "")
    page.await_that("return document.getElementById('notes').innerText.includes('connection to tlstall serve is lost')")
    assert page.shown() == 1, "what it has stays"
    again = start(Agent(directory, listen=address))
    page.await_that("return document.getElementById('notes').innerText === '' && app.table.count === 0")
    curl(directory, server.port)
    await_that(lambda: in_list(page, ["ok"]), lambda: f"it goes on: {page.text('body')}", 60)
    assert again.stop() == (0, "")


def test_thousands(browser, many):
    page = Page(browser, many.url)
    page.await_that(f"return app.table.count === {len(many.known)}")
    assert page.shown() == len(many.known) and len(page.all("#rows .row")) < 60
    assert page.one("#groups").is_displayed() and page.search("cause:PEER_SILENT") == len(
        [r for r in many.known if r.cause == "PEER_SILENT"])
    assert page.complaints() == []


def test_a_token_by_a_browser(browser, directory, start):
    token = directory / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    agent = start(Agent("--token", token, directory))
    basic = {word: "Basic " + base64.b64encode(word.encode()).decode() for word in ("any:s3cret", ":s3cret", "s3cret:any", "any:")}
    for path in ("", "events", "metrics"):
        assert agent.status(path) == 401, path
        assert [agent.status(path, method="HEAD", Authorization=basic[word]) for word in basic] == [200, 200, 401, 401], path
    page = Page(browser, agent.url.replace("//", "//any:s3cret@"))
    assert "No handshakes yet" in page.text("#headline")


# ---- its events -----------------------------------------------------------------------


def test_what_ends_and_what_is_in_flight(directory, authority, start, silent):
    server = start(servers.s_server(authority.ecdsa))
    agent = start(Agent(directory))
    events = start(Events(agent))
    name, hello, _ = events.next()
    assert name == "hello" and {"name": "PEER_SILENT", "title": "The peer does not answer"} in hello["causes"]
    curl(directory, server.port)
    client = start(Client(directory, silent.port))
    _, record, number = events.next("handshake")
    assert record["outcome"] == "ok" and number == f"{hello['epoch']}-1"
    schema.check(tracing.Call(record))
    while not (now := events.next("now")[1])["in_flight"]:
        pass
    (record,) = now["handshakes"]
    schema.check(tracing.Call(record))
    assert record["pid"] == client.process.pid and record["outcome"] == "in_flight"
    silent.hang_up()
    _, ended, number = events.next("handshake")
    assert ended["handshake"] == record["handshake"] and ended["pid"] == record["pid"] and number == f"{hello['epoch']}-2"
    assert ended["outcome"] == "failed"


def test_a_client_that_reconnects(many, start):
    events = start(Events(many))
    epoch, count = events.next("hello")[1]["epoch"], len(many.known)
    got = [events.next("handshake")[2] for _ in range(count)]
    assert got == [f"{epoch}-{n}" for n in range(1, count + 1)]
    for again in (Events(many, **{"Last-Event-ID": got[-10]}), Events(many, f"?after={got[-10]}")):
        start(again)
        assert [again.next("handshake")[2] for _ in range(9)] == got[-9:]
    for other in ("1-2990", "nonsense", f"{epoch}-99999", f"{epoch}-"):
        assert start(Events(many, **{"Last-Event-ID": other})).next("handshake")[2] == got[0], other


def refused(agent):
    with contextlib.suppress(urllib.error.HTTPError):
        Events(agent).stop()
        return False
    return True


def test_clients_have_bounds(many):
    """Sixteen clients that do not read: they cost little, hinder nobody, and are dropped."""
    before = many.sum("process_resident_memory_bytes")
    port = int(many.url.rstrip("/").rpartition(":")[2])
    held = []
    for _ in range(CLIENTS):
        held.append(socket.socket())
        held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        held[-1].connect(("127.0.0.1", port))
        held[-1].sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await_that(lambda: refused(many), "there is no room for more")
    assert many.ask("healthz") == "ok\n"
    assert many.sum("process_resident_memory_bytes") - before < CLIENTS * 256 * 1024
    await_that(lambda: not refused(many), "the others are dropped", 60)
    assert many.stop() == (0, "")
    for connection in held:
        connection.close()


# ---- who may ask ------------------------------------------------------------------------


def test_the_policy(directory, start):
    agent = start(Agent(directory))
    with DIRECT.open(agent.url, timeout=20) as answer:
        policy, text = answer.headers["Content-Security-Policy"], answer.read().decode()
    parts = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    nonce = re.fullmatch(r"'nonce-([0-9a-f]{32})'", parts["script-src"])[1]
    assert parts == {"default-src": "'none'", "script-src": f"'nonce-{nonce}'", "style-src": f"'nonce-{nonce}'",
                     "img-src": "data:", "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'",
                     "frame-ancestors": "'none'"}
    assert f'<script nonce="{nonce}">' in text and text.count("<script nonce=") == 1
    with DIRECT.open(agent.url, timeout=20) as answer:
        assert nonce not in answer.headers["Content-Security-Policy"], "each answer has its own"
    for path in ("metrics", "api/handshakes", "events"):
        with DIRECT.open(agent.url + path, timeout=20) as answer:
            assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_pages_of_other_sites(directory, start):
    agent = start(Agent(directory))
    for site in ("cross-site", "same-site"):
        for path in ("", "events", "metrics"):
            assert agent.status(path, **{"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}) == 403, (site, path)
        assert agent.status("", **{"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}) == 200
    assert agent.status("metrics", **{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}) == 200
