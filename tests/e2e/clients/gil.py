# SPDX-License-Identifier: Apache-2.0
"""gil.py PORT HOW HOLD: while one thread makes a handshake, another one holds the interpreter lock.

blocking: on a blocking socket; OpenSSL's key log callback needs the lock.
timeout: on a socket with a timeout; the lock is needed between two calls of OpenSSL.
memory: over memory BIOs; feeding them needs the lock.
HOLD: "pattern", a regular expression that backtracks forever, or for how many seconds a call into C
holds the lock.
"""
import ctypes
import re
import select
import socket
import ssl
import sys
import threading

port, how, hold = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
gate, library = threading.Event(), ctypes.PyDLL(None)


def hold_lock():
    gate.wait()
    if hold == "pattern":
        re.match("(a+)+$", 60 * "a" + "b")
    else:
        library.usleep(int(float(hold) * 1e6))


def over_memory(connection):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    while True:
        try:
            return tls.do_handshake()
        except ssl.SSLWantReadError:
            connection.sendall(outgoing.read())
            gate.set()
            select.select([connection], [], [])
            incoming.write(connection.recv(65536))


holder = threading.Thread(target=hold_lock, daemon=True)
holder.start()
sys.setswitchinterval(1000)  # the other thread gets the lock only when it is released
if how == "blocking":
    context.keylog_filename = "/dev/null"
connection = socket.create_connection(("127.0.0.1", port), timeout=20 if how == "timeout" else None)
if how == "memory":
    sys.exit(over_memory(connection))
tls = context.wrap_socket(connection, do_handshake_on_connect=False)
gate.set()
tls.do_handshake()
