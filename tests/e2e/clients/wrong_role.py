# SPDX-License-Identifier: Apache-2.0
"""wrong_role.py CERT PORT: connects, then takes the server's role."""
import socket
import ssl
import sys

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[2]))), server_side=True)
