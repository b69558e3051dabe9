# SPDX-License-Identifier: Apache-2.0
"""Each function takes some figures and gives them by key; NotAvailable leaves them out by name."""
import json
import os
import subprocess
import tempfile
import time

import callgrind
import web
from common import BIN, SHIM, TOOL, NotAvailable, directory, environment, figures, output, scaled


def calls():
    return figures("calls")


# In a mount namespace of its own the kernel's clock seems to be the TSC.
SEEMS_TSC = """
c=/sys/devices/system/clocksource/clocksource0
echo tsc >$0 && mount --bind $0 $c/available_clocksource && mount --bind $0 $c/current_clocksource &&
exec "$@"
"""


def calls_by_tsc():
    """The same by the processor's counter, which the shim uses where the kernel keeps time by it."""
    if os.getuid() != 0:
        raise NotAvailable("needs root, for a mount namespace")
    with tempfile.NamedTemporaryFile() as clock:
        rows = figures("calls", before=["unshare", "-m", "sh", "-c", SEEMS_TSC, clock.name])
    return {f"{key}, TSC": row for key, row in rows.items() if not key.startswith("floor")}


def handshake(transport, pairs):
    rows = figures("handshake", transport, pairs)
    both = rows[f"handshake, {transport}"]
    side = scaled(both, 0.0005)  # one of two sides, in microseconds
    share = {k: 100 * both[k] / both["plain"] for k in ("low", "high")}
    share["value"] = 100 * both["difference"] / both["plain"]
    return {f"handshake, {transport}": side, f"handshake share, {transport}": share,
            "pair bytes": rows[f"trace bytes of a pair, {transport}"],
            "record bytes": rows["record bytes"]}


def handshake_memory():
    return handshake("memory", 6000)


def handshake_tcp():
    rows = handshake("tcp", 5000)
    one, record = rows.pop("pair bytes")["value"] / 2, rows["record bytes"]["value"]
    # taken with two calls and one SSL_get_error a side; two more of each are asked for
    rows["trace bytes"] = {"value": one + 4 * record}
    return rows


def instructions():
    totals = {}
    with directory() as plain, directory() as traced:
        for name, work, env in (("plain", plain, environment()), ("traced", traced, environment(traced))):
            try:
                totals[name], times = callgrind.run(work, [BIN / "counted", "handshake"], env)
            except (RuntimeError, FileNotFoundError) as why:
                raise NotAvailable(why) from why
        whole = callgrind.total(totals["plain"]) / times
        own, asked = callgrind.cost(totals["traced"])
    ours = (sum(own.values()) + sum(asked.values())) / times
    return {"instructions": {"plain": whole, "traced": whole + ours, "difference": ours},
            "instructions share": {"value": 100 * ours / whole}}


def startup():
    rows = {}
    for key, *command in ("start true", "true"), ("start openssl", "openssl", "version"):
        with directory() as traces:
            text = output(BIN / "startup", 1000 if key == "start true" else 400, SHIM, *command,
                          env=environment(TLSTALL_DIR=traces))
        rows[key] = json.loads(text)
    return rows


def memory():
    counter = BIN / "count_malloc.so"
    with directory() as traces:
        without = json.loads(output(BIN / "allocations", env=environment(LD_PRELOAD=counter)))
        with_shim = json.loads(output(BIN / "allocations", env=environment(
            LD_PRELOAD=f"{counter} {SHIM}", TLSTALL_DIR=traces)))
    return {key: {"plain": without[field], "traced": with_shim[field],
                  "difference": with_shim[field] - without[field]}
            for key, field in (("allocations", "allocations"), ("memory", "private_kb"))}


def threads():
    rows = figures("threads")
    rows["threads"] = {"value": rows["threads 64"]["difference"] / rows["threads 1"]["difference"]}
    return rows


def in_flight():
    rows = figures("inflight", 10, 1000, 10000, 100000, TLSTALL_SIZE="256M")
    rows["in flight"] = {"value": rows["in flight 100000"]["difference"] /
                         rows["in flight 10"]["difference"]}
    return rows


# ---- the tool -------------------------------------------------------------------

def need_command(name):
    text = subprocess.run([TOOL, "--help"], text=True, stdout=subprocess.PIPE, check=False).stdout
    if f" {name} " not in text:
        raise NotAvailable(f"tlstall {name} is not there")


def usage(command, env=None):
    """Runs to the end: seconds, CPU seconds with children, peak MB, standard output."""
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen([str(c) for c in command], env=env or environment(), stdout=out,
                                 stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if child.returncode:
        raise NotAvailable(f"{command[1]}: exit status {child.returncode}")
    return time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, text


def under_load(seconds, *options):
    """What `tlstall run` takes of a CPU while its program shakes hands 5,000 times a second."""
    took, cpu, _, text = usage([TOOL, "run", *options, "--", BIN / "load", 5000, seconds])
    load = json.loads(text.splitlines()[-1])
    rate = load["handshakes"] / took
    if rate < 4500:
        raise NotAvailable(f"the machine has no room for the load: {rate:.0f} handshakes/s")
    return 100 * (cpu - load["cpu_s"]) / took, load["handshakes"], rate


def count_told(path):
    """Handshakes, and records that are said to be lost."""
    handshakes = lost = 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            handshakes += '"type":"handshake"' in line
            if '"type":"lost"' in line:
                lost += json.loads(line)["count"]
    return handshakes, lost


def run():
    need_command("run")
    with directory() as work:
        cpu, handshakes, rate = under_load(10, "--format", "jsonl", "-o", f"{work}/out")
        told, lost = count_told(f"{work}/out")
        text, _, _ = under_load(5, "-o", f"{work}/out")
        counts, _, _ = under_load(5, "-c", "-o", f"{work}/out")
    return {"run lost": {"value": lost + handshakes - told},
            "run cpu": {"value": cpu},
            "run cpu text": {"value": text},
            "run cpu counts": {"value": counts},
            "run load": {"value": rate}}


def make_traces(path, count):
    output(BIN / "make_traces", path, count)


def reader():
    if not (BIN / "reader").exists():
        raise NotAvailable("the reader is not there")
    with directory() as work:
        make_traces(f"{work}/1.tlstall", 300000)
        return {"reader": json.loads(output(BIN / "reader", f"{work}/1.tlstall"))}


def report():
    need_command("report")
    with directory() as work:
        make_traces(f"{work}/1.tlstall", 1000000)
        seconds, _, megabytes, _ = usage([TOOL, "report", f"{work}/1.tlstall"])
    return {"report time": {"value": seconds}, "report memory": {"value": megabytes}}


def html():
    need_command("report")
    with directory() as work:
        make_traces(f"{work}/1.tlstall", 100000)
        page = f"{work}/page.html"
        seconds, _, _, _ = usage([TOOL, "report", "--html", page, f"{work}/1.tlstall"])
        return {"html": {"value": web.opens_in(page)}, "html written": {"value": seconds},
                "html size": {"value": os.path.getsize(page) / 1e6}}
