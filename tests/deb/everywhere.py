# SPDX-License-Identifier: Apache-2.0
"""everywhere.py ROOT: the package, installed in ROOT, traces nginx as doc/PRODUCTION.md says; a client stalls it; and the stall is
seen on the live page, by Prometheus, in an alert, by a collector of OpenTelemetry, and in ClickHouse.

To be run in a network of its own: tests/deb/run does."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import peer  # noqa: E402
import tracing  # noqa: E402
from browsing import Page, open_browser  # noqa: E402
from clickhouse import ClickHouse  # noqa: E402
from collector import Collector  # noqa: E402
from servers import await_that  # noqa: E402
from serving import Agent, Prometheus  # noqa: E402

RECIPE = re.search(r"^## nginx$.*?^```sh\n(.*?)^```$", (tracing.ROOT / "doc" / "PRODUCTION.md").read_text(), re.M | re.S)[1]
PORT, CAUSE = 8443, "PEER_SILENT"
CONFIGURATION = """
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=here -keyout /tmp/key -out /tmp/crt 2>/dev/null
echo 'server { listen 127.0.0.1:8443 ssl; ssl_certificate /tmp/crt; ssl_certificate_key /tmp/key; return 200 "hello"; }' \
	>/etc/nginx/conf.d/tls.conf
install -d -m 1777 /var/lib/tlstall
"""


class Installed(Agent):
    """nginx by the recipe, tlstall serve, and exports that follow: all in one shell inside the root."""

    def __init__(self, root, exports):
        follow = "".join(f"tlstall export --follow --format {name} -o '{url}' /var/lib/tlstall >/dev/null &\n"
                         for name, url in exports.items())
        script = f"set -eu\n{CONFIGURATION}{RECIPE}{follow}exec tlstall serve /var/lib/tlstall\n"
        self.process = subprocess.Popen([HERE.parent / "matrix" / "enter", "--network", root, "sh", "-c", script],
                                        stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.reported = []
        for line in self.process.stdout:
            if line.startswith("tlstall: serving "):
                self.url = line.split()[-1]
                return
            self.reported.append(line)
        raise RuntimeError(f"nothing serves: {self.reported}")

    def stop(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def in_list(page, *words):
    rows = page.js("return [...document.querySelectorAll('#rows .row')].map(row => row.innerText.replace(/\\s+/g, ' '))")
    return [row for row in rows if all(word in row for word in words)]


def stall():
    """A client that says hello and then nothing."""
    connection = socket.create_connection(("127.0.0.1", PORT))
    connection.sendall(peer.client_hello())
    return connection


def ends_everywhere(agent, page, collector, house):
    """What is known of it once it has ended."""
    (record,) = await_that(lambda: [r for r in agent.handshakes() if r.outcome in ("failed", "abandoned")], "its end is told")
    await_that(lambda: in_list(page, "nginx", record.outcome, record.cause), lambda: f"its end is on the page: {page.text('body')}", 60)
    await_that(lambda: [span for span in collector.spans if span.attributes.get("tlstall.cause") == record.cause],
               lambda: f"the collector has it: {[span.attributes for span in collector.spans]}", 60)
    if not house:
        print("everywhere: not run: ClickHouse, as there is no clickhouse-server", file=sys.stderr)
        return
    await_that(lambda: house.rows(f"SELECT comm, outcome FROM handshakes WHERE cause = '{record.cause}'") ==
               [{"comm": "nginx", "outcome": record.outcome}], lambda: f"ClickHouse has it: {house.ask('SELECT * FROM handshakes')}", 60)


def main(root):
    with contextlib.ExitStack() as stack:
        def start(thing):
            stack.callback(thing.stop)
            return thing

        directory = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
        stack.callback(shutil.rmtree, directory)
        collector = start(Collector())
        house = start(ClickHouse()).fresh() if shutil.which("clickhouse-server") else None
        agent = start(Installed(root, {"otlp": collector.url, **({"clickhouse": house.url} if house else {})}))
        assert '"comm":"nginx"' in agent.reported[-1] and '"outcome":"ok"' in agent.reported[-1], agent.reported
        prometheus = start(Prometheus(directory, agent))
        browser = open_browser()
        stack.callback(browser.quit)
        page = Page(browser, agent.url)

        connection = stall()
        await_that(lambda: in_list(page, "nginx", "in flight", CAUSE), lambda: f"it is on the page: {page.text('body')}", 60)
        alert = await_that(prometheus.firing, "the alert fires", 60)[0]["labels"]
        assert (alert["alertname"], alert["cause"]) == ("TlsHandshakeStalled", CAUSE), alert
        assert prometheus.query(f'tlstall_stalled_handshakes{{cause="{CAUSE}"}} == 1')
        connection.close()
        ends_everywhere(agent, page, collector, house)


if __name__ == "__main__":
    main(sys.argv[1])
