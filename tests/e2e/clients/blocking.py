# SPDX-License-Identifier: Apache-2.0
"""blocking.py PORT CA: a blocking ssl socket."""
import socket
import ssl
import sys

context = ssl.create_default_context(cafile=sys.argv[2])
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
with context.wrap_socket(connection, server_hostname="localhost") as tls:
    tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
    print(tls.version(), tls.recv(12).decode())
