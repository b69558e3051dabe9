# SPDX-License-Identifier: Apache-2.0
"""Run inside gdb (`gdb -batch -x debugger.py --args PROGRAM...`): records every call of SSL_connect and
SSL_get_error in each library that exports them, with its second argument and its result. Writes JSON
to $DEBUGGER_OUTPUT."""
import json
import os
import subprocess

import gdb

FUNCTIONS = ("SSL_connect", "SSL_get_error")
LIBRARIES = {"libtlstall.so": "shim", "libssl.so": "libssl"}


def register(name):
    return int(gdb.parse_and_eval(f"(unsigned long)${name}"))


def signed(value):
    return (value & 0xffffffff) - ((value & 0x80000000) << 1)


def loaded(pid):
    """Path and base address of the libraries of interest."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        for line in maps:
            fields = line.split()
            name = os.path.basename(fields[-1])
            if fields[2] == "00000000" and any(name.startswith(known) for known in LIBRARIES):
                yield fields[-1], int(fields[0].split("-")[0], 16)


def entries(pid):
    """Address of each function's first instruction: (function, library)."""
    found = {}
    for path, base in loaded(pid):
        library = next(LIBRARIES[k] for k in LIBRARIES if os.path.basename(path).startswith(k))
        symbols = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True,
                                 text=True, check=True, env={"PATH": "/usr/bin:/bin"}).stdout
        for line in symbols.splitlines():
            address, _, name = line.split()
            if name.split("@")[0] in FUNCTIONS:
                found[base + int(address, 16)] = (name.split("@")[0], library)
    return found


def main():
    for setting in ("pagination off", "confirm off", "breakpoint pending on",
                    "debuginfod enabled off"):
        gdb.execute("set " + setting)
    gdb.execute("tbreak SSL_CTX_new")
    gdb.execute("run", to_string=True)
    functions = entries(gdb.selected_inferior().pid)
    for address in functions:
        gdb.Breakpoint(f"*{address:#x}", internal=True).silent = True
    calls, unreturned, returns = [], [], set()
    gdb.execute("continue", to_string=True)
    while gdb.selected_inferior().pid:
        pc, stack = register("pc"), register("sp")
        for pending in [p for p in unreturned if p[:2] == (pc, stack)]:
            pending[2]["ret"] = signed(register("rax"))
            unreturned.remove(pending)
        if pc in functions:
            function, library = functions[pc]
            back = int(gdb.parse_and_eval("*(unsigned long *)$sp"))
            call = {"fn": function, "library": library, "argument": signed(register("rsi"))}
            calls.append(call)
            unreturned.append((back, stack + 8, call))
            if back not in returns:
                returns.add(back)
                gdb.Breakpoint(f"*{back:#x}", internal=True).silent = True
        gdb.execute("continue", to_string=True)
    with open(os.environ["DEBUGGER_OUTPUT"], "w", encoding="ascii") as output:
        json.dump(calls, output)


main()
