# SPDX-License-Identifier: Apache-2.0
"""large_hello.py PORT [PROTOCOLS]: a blocking ssl socket whose ClientHello needs two or more packets."""
import socket
import ssl
import sys

protocols = int(sys.argv[2]) if len(sys.argv) > 2 else 120
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols([f"protocol-{i:03}" for i in range(protocols)])
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
context.wrap_socket(connection)
