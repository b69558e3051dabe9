# SPDX-License-Identifier: Apache-2.0
"""large_hello.py PORT: a blocking ssl socket whose ClientHello needs two packets."""
import socket
import ssl
import sys

context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols([f"protocol-{i:03}" for i in range(120)])
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
context.wrap_socket(connection)
