# SPDX-License-Identifier: Apache-2.0
"""talks.py PORT LINE [SIZE]: sends a line of plain text (after the server's greeting if SIZE is not 0),
reads a line or SIZE bytes of the answer, and begins TLS."""
import socket
import ssl
import sys

port, line, *size = sys.argv[1:]
size = int(size[0]) if size else None
# made before anything is sent, because the kernel holds a line back for only 200 ms
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
connection = socket.create_connection(("127.0.0.1", int(port)))
lines = connection.makefile("rb", buffering=0)
if size != 0:
    lines.readline()
connection.sendall(line.encode() + b"\r\n", socket.MSG_MORE if size == 0 else 0)
if size is None:
    lines.readline()
elif size:
    lines.read(size)
context.wrap_socket(connection).close()
