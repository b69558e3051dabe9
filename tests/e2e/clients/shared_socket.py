# SPDX-License-Identifier: Apache-2.0
"""shared_socket.py TRICK PORT [OTHER]: a blocking handshake on a socket with which the program does something
else as well.

lowat: the kernel shall wake it only for 20,000 bytes. stolen: a child reads the answer. swapped: after the
ClientHello its descriptor becomes a connection to port OTHER. closed: another thread closes the descriptor when
a line comes. both: a child goes on with the same handshake.
patient: each call ends after half a second, and is repeated. stopped: as it is.
"""
import contextlib
import os
import socket
import ssl
import struct
import sys
import threading

trick, port = sys.argv[1], int(sys.argv[2])
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
connection = socket.create_connection(("127.0.0.1", port))
other = connection.dup()
tls = context.wrap_socket(connection, server_hostname="localhost", do_handshake_on_connect=False)
if trick == "lowat":
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 20000)
if trick == "patient":
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 500000))
if trick == "closed":
    threading.Thread(target=lambda: sys.stdin.readline() and os.close(tls.fileno()), daemon=True).start()
stolen, done = os.pipe()
if trick in ("stolen", "swapped", "both"):
    tls.setblocking(False)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    if trick == "swapped":
        new = socket.create_connection(("127.0.0.1", int(sys.argv[3])))
        os.dup2(new.fileno(), tls.fileno())
    elif os.fork() == 0 and trick == "stolen":
        other.setblocking(True)
        other.recv(65536)
        os.write(done, b".")
        print("stolen", flush=True)
        other.recv(1)
        os._exit(0)
    if trick == "stolen":
        os.read(stolen, 1)
    tls.setblocking(True)
tls.do_handshake()
print(tls.version())
