# SPDX-License-Identifier: Apache-2.0
"""server.py HOW CERT KEY [MORE...]: a TLS server on one thread; prints its port.

loop: makes handshakes in the accepting thread, as `wrap_socket(listener)` does.
client: takes the client's role on accepted sockets.
names: in the SNI callback, looks a name up with a server (PORT [ADDRESS]) that does not answer.
child: in the SNI callback, runs a program that does not end, and waits for it.
locked: in the SNI callback, waits for a file lock (FILE).
"""
import fcntl
import socket
import ssl
import subprocess
import sys

how = sys.argv[1]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if how == "client" else ssl.PROTOCOL_TLS_SERVER)
if how == "client":
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
else:
    context.load_cert_chain(sys.argv[2], sys.argv[3])


def look_up(_tls, name, _context):
    address = sys.argv[5] if len(sys.argv) > 5 else "127.0.0.1"
    with socket.create_connection((address, int(sys.argv[4]))) as directory:
        directory.sendall(f"who is {name}?\n".encode())
        directory.recv(100)


def look_into_file(_tls, _name, _context):
    with open(sys.argv[4]) as file:
        fcntl.flock(file, fcntl.LOCK_SH)


def ask_program(_tls, _name, _context):
    subprocess.run(["sleep", "60"])


if how in ("names", "locked", "child"):
    context.sni_callback = {"names": look_up, "locked": look_into_file, "child": ask_program}[how]
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    try:
        with context.wrap_socket(connection, server_side=how != "client") as tls:
            tls.sendall(b"hello\n")
    except OSError:
        pass
