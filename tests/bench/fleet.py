#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Loads the handshakes of a simulated fleet into a real clickhouse-server by `tlstall export`, asks the ten questions of
doc/clickhouse, and checks each answer against a count of its own, made from the same traces as CSV. Prints what it took."""
import argparse
import csv
import gzip
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import pki  # noqa: E402
import servers  # noqa: E402
import tracing  # noqa: E402
from clickhouse import Answering, ClickHouse, statements  # noqa: E402
from fleet_count import Count, DEPLOY  # noqa: E402

MAKE = ROOT / "build" / "tests" / "bench" / "make_traces"
CHUNK = 100  # hosts at a time


def cpu(who):
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def server_cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make(directory, hosts, each):
    for host in hosts:
        for build in range(2):
            subprocess.run([MAKE, f"{directory}/{host + 1}-{build + 1}.tlstall", str(each), "fleet", str(host), str(build)],
                           check=True)


def export(directory, url):
    """Seconds, and CPU seconds of the tool."""
    began, used = time.monotonic(), cpu(resource.RUSAGE_CHILDREN)
    subprocess.run([tracing.TLSTALL, "export", "--format", "clickhouse", "-o", url, directory], check=True,
                   env=tracing.environment())
    return time.monotonic() - began, cpu(resource.RUSAGE_CHILDREN) - used


def count_csv(directory, count):
    with subprocess.Popen([tracing.TLSTALL, "export", "--format", "csv", directory], stdout=subprocess.PIPE, text=True,
                          env=tracing.environment()) as tool:
        rows = csv.reader(tool.stdout)
        count.columns(next(rows))
        for row in rows:
            count.add(row)
    if tool.returncode:
        raise RuntimeError("tlstall export --format csv failed")


class Weighing(Answering):
    """Takes everything, weighs it, and hands it on to a server, if there is one."""

    packed = plain = 0
    onward = None

    def take(self, path, headers, body):
        text = gzip.decompress(body)
        self.packed += len(body)
        self.plain += len(text)
        if self.onward:
            self.onward.ask("INSERT INTO handshakes FORMAT JSONEachRow\n" + text.decode())
        return super().take(path, headers, body)


def weigh(directory, report):
    stand = Weighing()
    export(directory, stand.url)
    report["bytes a handshake in the spool"] = round(stand.plain / len(stand.rows))
    report["bytes a handshake on the wire (gzip)"] = round(stand.packed / len(stand.rows))
    report["handshakes a request"] = round(statistics.mean(stand.sizes))
    stand.stop()


def load(server, hosts, each, count, report):
    seconds = used = 0
    before = server_cpu(server.server.process.pid)
    for first in range(0, hosts, CHUNK):
        with tempfile.TemporaryDirectory(prefix="tlstall-fleet-") as directory:
            make(directory, range(first, min(first + CHUNK, hosts)), each)
            if not first:
                weigh(directory, report)
            took, tool = export(directory, server.url)
            seconds, used = seconds + took, used + tool
            count_csv(directory, count)
    report["seconds to load all"] = round(seconds, 1)
    report["handshakes a second"] = round(count.total / seconds)
    report["CPU of tlstall, us a handshake (reads and judges the trace, sends)"] = round(1e6 * used / count.total, 1)
    report["CPU of the server, us a handshake (with the view and its merges so far)"] = round(
        1e6 * (server_cpu(server.server.process.pid) - before) / count.total, 1)


def shake_hands(directory, traces):
    """Real ones of a traced server, as many as there are in ten seconds."""
    server = servers.s_server(pki.Authority(directory).ecdsa, env={"LD_PRELOAD": str(tracing.SHIM), "TLSTALL_DIR": str(traces),
                                                                   "TLSTALL_MODE": "watch"})
    try:
        subprocess.run(["openssl", "s_time", "-connect", f"127.0.0.1:{server.port}", "-new", "-time", "10"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finally:
        server.end()
        server.stop()


def follow(server, report):
    """Of a real program, as they end."""
    with tempfile.TemporaryDirectory(prefix="tlstall-fleet-") as name:
        directory = pathlib.Path(name)
        stand = Weighing()
        stand.onward = server
        for made in "traces", "pki":
            (directory / made).mkdir()
        command = [tracing.TLSTALL, "export", "--follow", "--format", "clickhouse", "-o", stand.url, "--spool",
                   directory / "spool", directory / "traces"]
        with subprocess.Popen(command, env=tracing.environment(), stderr=subprocess.PIPE) as agent:
            servers.await_that((directory / "spool" / "followed").exists, "it follows")
            shake_hands(directory / "pki", directory / "traces")
            time.sleep(1)  # what it has not read by then it reads at its end
            agent.terminate()
            _, status, used = os.wait4(agent.pid, 0)
            error = agent.stderr.read().decode()
        stand.stop()
        if status or error:
            raise RuntimeError(f"tlstall: {status}: {error}")
    total = len(stand.rows)
    report["real handshakes followed in ten seconds"] = total
    report["of these: bytes a handshake in the spool"] = round(stand.plain / total)
    report["of these: bytes a handshake on the wire (gzip)"] = round(stand.packed / total)
    report["of these: bytes a handshake on disk"], _ = on_disk(server, "handshakes", total)
    report["of these: CPU of tlstall, us a handshake"] = round(1e6 * (used.ru_utime + used.ru_stime) / total, 1)
    report["of these: memory of tlstall, MB"] = round(used.ru_maxrss / 1024, 1)


def on_disk(server, table, total):
    server.ask(f"OPTIMIZE TABLE {table} FINAL")
    (row,) = server.rows("SELECT sum(bytes_on_disk) AS size, sum(rows) AS n FROM system.parts "
                         f"WHERE active AND database = 'tls' AND table = '{table}'")
    return round(row["size"] / total, 1), row["n"]


def ask(server, question):
    """The answer, and the median time of three."""
    question = re.sub(r"'2026-[^']*'", f"'{DEPLOY if 'deploy' in question else 1000000000}'", question)
    times = []
    for _ in range(3):
        began = time.monotonic()
        rows = server.rows(question)
        times.append(time.monotonic() - began)
    return rows, statistics.median(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--only-follow", action="store_true")
    parser.add_argument("--handshakes", type=int, default=1000, help="of each host")
    options = parser.parse_args()
    count, report, wrong = Count(), {}, 0
    server = ClickHouse().fresh()
    try:
        follow(server, report)
        if options.only_follow:
            print(report)
            return 0
        server.fresh()
        load(server, options.hosts, options.handshakes // 2, count, report)
        assert server.count() == count.total == options.hosts * options.handshakes, (server.count(), count.total)
        report["bytes a handshake on disk"], _ = on_disk(server, "handshakes", count.total)
        view, rows = on_disk(server, "handshakes_by_minute", count.total)
        report["and in the view by minute"], report["rows of that view"] = view, rows
        for number, question in enumerate(statements("questions.sql"), 1):
            answer, seconds = ask(server, question)
            errors = count.check(number, answer)
            wrong += bool(errors)
            report[f"question {number}, ms"] = round(1000 * seconds)
            for error in errors[:5]:
                print(f"question {number}: {error}", file=sys.stderr)
    finally:
        server.stop()
    print(f"{count.total} handshakes of {options.hosts} hosts; {10 - wrong} of 10 answers are as counted")
    for name, value in report.items():
        print(f"| {name} | {value:,} |")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
