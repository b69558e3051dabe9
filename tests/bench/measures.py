# SPDX-License-Identifier: Apache-2.0
"""Each function measures some figures and returns them by key; NotAvailable omits them by name."""
import json
import os
import statistics
import subprocess
import tempfile
import time

import callgrind
import web
from common import BIN, EMPTY, SHIM, TOOL, NotAvailable, directory, environment, figures, output, scaled


def calls():
    return figures("calls")


def calls_watch():
    rows = figures("calls", "watch", TLSTALL_LATE=10000, TLSTALL_SAMPLE=0)
    return {f"{key}, watch": row for key, row in rows.items() if key.startswith("SSL_")}


# In its own mount namespace, the kernel's clock source appears to be the TSC.
SEEMS_TSC = """
c=/sys/devices/system/clocksource/clocksource0
echo tsc >$0 && mount --bind $0 $c/available_clocksource && mount --bind $0 $c/current_clocksource &&
exec "$@"
"""


def calls_by_tsc():
    """The same with the processor's counter, which the shim uses if the kernel keeps time by it."""
    if os.getuid() != 0:
        raise NotAvailable("needs root, for a mount namespace")
    with tempfile.NamedTemporaryFile() as clock:
        rows = figures("calls", before=["unshare", "-m", "sh", "-c", SEEMS_TSC, clock.name])
    return {f"{key}, TSC": row for key, row in rows.items() if not key.startswith("floor")}


def handshake(transport, mode, pairs):
    rows = figures("handshake", transport, mode, pairs)
    both = rows[f"handshake, {transport}, {mode}"]
    side = scaled(both, 0.0005)  # one of two sides, in microseconds
    share = {k: 100 * both[k] / both["plain"] for k in ("low", "high")}
    share["value"] = 100 * both["difference"] / both["plain"]
    which = transport if mode == "all" else f"{transport}, {mode}"
    taken = {f"handshake, {which}": side, f"handshake share, {which}": share,
             "pair bytes": rows[f"trace bytes of a pair, {transport}"],
             "record bytes": rows["record bytes"]}
    if mode == "watch":
        taken["history bytes, watch"] = {"value": rows["history bytes of a pair"]["value"] / 2}
    return taken


def handshake_memory():
    return handshake("memory", "all", 6000)


def handshake_memory_watch():
    rows = handshake("memory", "watch", 6000)
    return {name: row for name, row in rows.items() if name.endswith("watch")}


def handshake_tcp_watch():
    rows = handshake("tcp", "watch", 5000)
    return {name: row for name, row in rows.items() if name.endswith("watch")}


def handshake_tcp():
    rows = handshake("tcp", "all", 5000)
    one, record = rows.pop("pair bytes")["value"] / 2, rows["record bytes"]["value"]
    # measured with two calls and one SSL_get_error a side; the figure is for two more of each
    rows["trace bytes"] = {"value": one + 4 * record}
    return rows


def counted(env):
    """Both sides of a handshake over a BIO pair: all instructions, and the shim's own."""
    with directory() as work:
        if env:
            env = environment(work, **env)
        try:
            path, times = callgrind.run(work, [BIN / "counted", "handshake"], env or environment())
        except (RuntimeError, FileNotFoundError) as why:
            raise NotAvailable(why) from why
        own, asked = callgrind.cost(path)
        return callgrind.total(path) / times, (sum(own.values()) + sum(asked.values())) / times


def instructions():
    whole, _ = counted(None)
    rows = {}
    for mode, suffix in (("all", ""), ("watch", ", watch")):
        _, ours = counted({"TLSTALL_MODE": mode})
        rows[f"instructions{suffix}"] = {"plain": whole, "traced": whole + ours, "difference": ours}
        rows[f"instructions share{suffix}"] = {"value": 100 * ours / whole}
    return rows


def startup():
    rows = {}
    for key, *command in ("start true", "true"), ("start openssl", "openssl", "version"):
        with directory() as traces:
            text = output(BIN / "startup", 1000 if key == "start true" else 400, EMPTY, SHIM, *command,
                          env=environment(TLSTALL_DIR=traces))
        rows[key] = json.loads(text)
    return rows


def allocations(**settings):
    """Of the same work without and with the shim: medians of seven runs."""
    preload = f"{BIN}/count_malloc.so"
    both = environment(LD_PRELOAD=preload), environment(LD_PRELOAD=f"{preload} {SHIM}", **settings)
    taken = [[json.loads(output(BIN / "allocations", env=env)) for env in both] for _ in range(7)]
    rows = {}
    for field in "allocations", "private_kb":
        without, with_shim = (statistics.median(pair[i][field] for pair in taken) for i in (0, 1))
        rows[field] = {"plain": without, "traced": with_shim, "difference": with_shim - without}
    return rows


def memory():
    with directory() as traces:
        rows = allocations(TLSTALL_DIR=traces)
        watch = allocations(TLSTALL_DIR=traces, TLSTALL_MODE="watch")
    return {"allocations": rows["allocations"], "memory": rows["private_kb"],
            "memory, watch": watch["private_kb"]}


def system_calls_of(count, env):
    with tempfile.NamedTemporaryFile("r") as counts:
        output("strace", "-f", "-c", "-o", counts.name, BIN / "connections", count, env=env)
        total = next(line for line in counts.read().splitlines() if line.endswith(" total"))
    return int(total.split()[3])


def system_calls():
    """One side of a quick, successful handshake over TCP, without starting and ending the program."""
    rows = {}
    with directory() as traces:
        for mode in "all", "watch":
            env = environment(traces, TLSTALL_MODE=mode, TLSTALL_SAMPLE=0, TLSTALL_LATE=10000)
            plain, traced = ((system_calls_of(220, e) - system_calls_of(20, e)) / 400
                             for e in (environment(), env))
            rows[f"system calls, {mode}"] = {"plain": plain, "traced": traced, "difference": traced - plain}
    return rows


def threads():
    rows = figures("threads")
    rows["threads"] = {"value": rows["threads 64"]["difference"] / rows["threads 1"]["difference"]}
    return rows


def in_flight():
    rows = {}
    for mode, suffix in ("all", ""), ("watch", ", watch"):
        taken = figures("inflight", 10, 1000, 10000, 100000, TLSTALL_SIZE="256M", TLSTALL_MODE=mode,
                        TLSTALL_SAMPLE=0, TLSTALL_LATE=10000)
        few, many = taken["in flight 10"], taken["in flight 100000"]
        growth = (many["difference"] / few["difference"]) / (many["plain"] / few["plain"])
        rows.update({f"{key}{suffix}": row for key, row in taken.items()})
        rows[f"in flight{suffix}"] = {"value": growth}
    return rows


# ---- what one successful handshake leaves behind ------------------------------------

def one_handshake():
    """Size of the trace of a process that exited after one handshake of each side."""
    rows = {}
    for mode, key in ("watch", "trace size"), ("all", "trace size, all"):
        with directory() as traces:
            output(BIN / "counted", "once", env=environment(traces, TLSTALL_MODE=mode, TLSTALL_SAMPLE=0))
            status = next(e.stat() for e in os.scandir(traces) if e.name.endswith(".tlstall"))
        rows[key] = {"value": status.st_blocks * 512 / 1024}
    return rows


# ---- the tool -------------------------------------------------------------------

def need_command(name):
    text = subprocess.run([TOOL, "--help"], text=True, stdout=subprocess.PIPE, check=False).stdout
    if f" {name} " not in text:
        raise NotAvailable(f"tlstall {name} is not there")


def usage(command, env=None):
    """Runs it to the end: seconds, CPU seconds with children, peak MB, standard output."""
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


def under_load(seconds, *options, env=None):
    """CPU share of `tlstall run` while its program makes 5,000 handshakes a second."""
    took, cpu, _, text = usage([TOOL, "run", *options, "--", BIN / "load", 5000, seconds], env)
    load = json.loads(text.splitlines()[-1])
    rate = load["handshakes"] / took
    if rate < 4500:
        raise NotAvailable(f"the machine has no room for the load: {rate:.0f} handshakes/s")
    return 100 * (cpu - load["cpu_s"]) / took, load["handshakes"], rate


def count_told(path):
    """The number of handshakes, and of records reported lost."""
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
        watch, handshakes_watch, _ = under_load(5, "--format", "jsonl", "-o", f"{work}/out",
                                                env=environment(TLSTALL_MODE="watch"))
        told_watch, lost_watch = count_told(f"{work}/out")
        text, _, _ = under_load(5, "-o", f"{work}/out")
        counts, _, _ = under_load(5, "-c", "-o", f"{work}/out")
    return {"run lost": {"value": lost + handshakes - told},
            "run cpu": {"value": cpu},
            "run lost, watch": {"value": lost_watch + handshakes_watch - told_watch},
            "run cpu, watch": {"value": watch},
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
