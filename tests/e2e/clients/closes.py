# SPDX-License-Identifier: Apache-2.0
"""closes.py PORT: another part of the program closes the handshake's descriptor."""
import os
import socket
import ssl
import sys

context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
tls = context.wrap_socket(connection, do_handshake_on_connect=False)
os.close(tls.fileno())
tls.do_handshake()
