# SPDX-License-Identifier: Apache-2.0
"""writes_only.py PORT: a client with a small receive buffer that does not read after the handshake."""
import signal
import socket
import ssl
import sys

context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
connection = socket.socket()
connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
connection.connect(("127.0.0.1", int(sys.argv[1])))
tls = context.wrap_socket(connection)
tls.sendall(b"request\n")
signal.pause()
