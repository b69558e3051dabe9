# SPDX-License-Identifier: Apache-2.0
"""not_sent.py PORT: ssl.MemoryBIO; its outgoing data is never sent."""
import select
import socket
import ssl
import sys

context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(incoming, outgoing)
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while True:
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        if select.select([connection], [], [], 0.2)[0]:
            incoming.write(connection.recv(65536))
