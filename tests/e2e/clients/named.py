# SPDX-License-Identifier: Apache-2.0
"""named.py PORT NAME|- [CA]: a blocking ssl socket that sends a server name, or none."""
import socket
import ssl
import sys

port, name, *authority = sys.argv[1:]
context = ssl.create_default_context(cafile=authority[0] if authority else None)
if not authority:
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.check_hostname = bool(authority)
connection = socket.create_connection(("127.0.0.1", int(port)))
context.wrap_socket(connection, server_hostname=None if name == "-" else name).close()
