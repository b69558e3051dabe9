# SPDX-License-Identifier: Apache-2.0
"""Runs `tlstall serve` and Debian's Prometheus for tests."""
import json
import pathlib
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import schema
import servers
import tracing
from servers import await_that
from tracing import SHIM, TLSTALL

RULES = tracing.ROOT / "doc" / "prometheus" / "tlstall.rules.yml"
DASHBOARD = tracing.ROOT / "doc" / "grafana" / "tlstall.json"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def traced(directory, **extra):
    """The environment for a service: programs started with it are traced."""
    return tracing.environment(LD_PRELOAD=str(SHIM), TLSTALL_DIR=str(directory), **extra)


def dashboard_queries():
    """{panel's title and letter: query}, with what Grafana puts in place of its variables."""
    values = {"$__rate_interval": "10s", "$__range": "5m", "$instance": ".*", "$job": "tlstall"}
    queries = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            query = target["expr"]
            for name, value in values.items():
                query = query.replace(name, value)
            queries[panel["title"], target["refId"]] = query
    return queries


class Agent:
    """Listens on a free port unless told otherwise."""

    def __init__(self, *arguments, listen="127.0.0.1:0", env=None):
        self.process = subprocess.Popen([str(TLSTALL), "serve", "--listen", listen, *map(str, arguments)],
                                        env=tracing.environment(**(env or {})), stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("tlstall: serving "):
            raise RuntimeError(line + self.process.communicate()[1])
        self.url = line.split()[-1]

    def ask(self, path, **headers):
        with DIRECT.open(urllib.request.Request(self.url + path, headers=headers), timeout=20) as answer:
            return answer.read().decode()

    def status(self, path, method="GET", **headers):
        try:
            with DIRECT.open(urllib.request.Request(self.url + path, headers=headers, method=method), timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def metrics(self):
        """{'name{label="value"}': number}"""
        lines = [line.rpartition(" ") for line in self.ask("metrics").splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def sum(self, name, **labels):
        return sum(value for series, value in self.metrics().items() if series.partition("{")[0] == name and
                   all(f'{label}="{text}"' in series for label, text in labels.items()))

    def handshakes(self):
        records = [tracing.Call(json.loads(line)) for line in self.ask("api/handshakes").splitlines()]
        for record in records:
            schema.check(record)
        return records

    def await_sum(self, expected, name, **labels):
        await_that(lambda: self.sum(name, **labels) == expected, lambda: f"{name} {labels} {expected}: {self.ask('metrics')}")

    def stop(self):
        """Its exit status, and its standard error."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            error = self.process.communicate(timeout=20)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        except ValueError:  # it was stopped before
            error = ""
        return self.process.returncode, error


class Notified:
    """Listens in place of systemd."""

    def __init__(self, directory):
        self.path = str(pathlib.Path(directory) / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(20)
        self.socket.bind(self.path)

    def await_one(self, start):
        while not (text := self.socket.recv(4096).decode()).startswith(start):
            pass
        return text

    def stop(self):
        self.socket.close()


class Prometheus(servers.Server):
    """Scrapes the agent once a second, with the alerts that tlstall ships."""

    def __init__(self, directory, agent):
        port = servers.free_port()
        target = agent.url.removeprefix("http://").rstrip("/")
        config = pathlib.Path(directory) / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            f"rule_files: [{json.dumps(str(RULES))}]\n"
            "scrape_configs:\n"
            f"- {{job_name: tlstall, static_configs: [{{targets: ['{target}']}}]}}\n")
        super().__init__(["/usr/bin/prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/data",
                          f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"], port)

    def _ask(self, path):
        try:
            with DIRECT.open(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=20) as answer:
                return json.load(answer)["data"]
        except (OSError, urllib.error.HTTPError):
            return None  # it listens, but is not ready

    def query(self, expression):
        """[(labels, value)]"""
        data = self._ask("query?" + urllib.parse.urlencode({"query": expression}))
        return [(each["metric"], float(each["value"][1])) for each in data["result"]] if data else []

    def firing(self):
        data = self._ask("alerts")
        return [alert for alert in data["alerts"] if alert["state"] == "firing"] if data else []
