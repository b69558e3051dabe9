# SPDX-License-Identifier: Apache-2.0
"""A real clickhouse-server for a test, on loopback and in a directory of its own; and a stand-in that answers badly."""
import gzip
import json
import pathlib
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request

import pytest

import servers
import tracing
from collector import Collector
from serving import DIRECT

QUERIES = tracing.ROOT / "doc" / "clickhouse"
CONFIG = """<yandex>
 <logger><level>warning</level><console>1</console></logger>
 <http_port>{port}</http_port><tcp_port>{tcp_port}</tcp_port><listen_host>127.0.0.1</listen_host>
 <path>{directory}/data/</path><tmp_path>{directory}/data/tmp/</tmp_path>
 <users_config>users.xml</users_config><mark_cache_size>67108864</mark_cache_size>
 <timezone>UTC</timezone><default_profile>default</default_profile><default_database>default</default_database>
</yandex>
"""
USERS = """<yandex><profiles><default/></profiles><quotas><default/></quotas><users>
 <default><password/><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default>
 <writer><password>ocean "blue"</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>
  <quota>default</quota></writer>
</users></yandex>
"""


def statements(name):
    """Of a file in doc/clickhouse, without their comments."""
    lines = (QUERIES / name).read_text(encoding="utf-8").splitlines()
    text = "\n".join(line.partition("--")[0].rstrip() for line in lines)
    return [part.strip() for part in text.split(";") if part.strip()]


class ClickHouse:
    """`port`: where one is expected; it need not listen from the beginning."""

    def __init__(self, port=None, begin=True):
        if not shutil.which("clickhouse-server"):
            pytest.skip("clickhouse-server is not installed")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-clickhouse-"))
        self.port = port or servers.free_port()
        self.base = f"http://127.0.0.1:{self.port}/"
        self.url = self.base + "?database=tls"
        self.server = None
        (self.directory / "data").mkdir()
        (self.directory / "users.xml").write_text(USERS, encoding="utf-8")
        if begin:
            self.begin()

    def begin(self):
        config = CONFIG.format(port=self.port, tcp_port=servers.free_port(), directory=self.directory)
        (self.directory / "config.xml").write_text(config, encoding="utf-8")
        self.server = servers.Server(["clickhouse-server", f"--config-file={self.directory}/config.xml"], self.port,
                                     directory=self.directory)

    def ask(self, query, database="tls"):
        options = {"output_format_json_quote_64bit_integers": 0, **({"database": database} if database else {})}
        url = self.base + "?" + urllib.parse.urlencode(options)
        try:
            with DIRECT.open(urllib.request.Request(url, query.encode()), timeout=300) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{query}: {error.read().decode()}") from error

    def rows(self, query):
        return [json.loads(line) for line in self.ask(query + " FORMAT JSONEachRow").splitlines()]

    def fresh(self):
        """As schema.sql has it, and empty."""
        self.ask("DROP DATABASE IF EXISTS tls", None)
        self.ask("CREATE DATABASE tls", None)
        for statement in statements("schema.sql"):
            self.ask(statement)
        return self

    def count(self):
        return int(self.ask("SELECT count() FROM handshakes FINAL"))

    def stop(self):
        if self.server:
            self.server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class Answering(Collector):
    """`answers`: statuses of the first requests, 0 for none at all; then 200, or 500 to what contains `unparsable`."""

    unparsable = None

    def take(self, path, headers, body):
        with self.changed:
            self.requests.append((path, dict(headers)))
            text = gzip.decompress(body).decode()
            status = self.answers.pop(0) if self.answers else 500 if self.unparsable and self.unparsable in text else 200
            if status == 200:
                assert headers["Content-Encoding"] == "gzip"
                batch = [json.loads(line) for line in text.splitlines()]
                self.sizes.append(len(batch))
                self.spans += batch
            self.changed.notify_all()
            return status

    @property
    def rows(self):
        return self.spans
