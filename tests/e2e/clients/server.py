# SPDX-License-Identifier: Apache-2.0
"""server.py HOW CERT KEY [PORT]: a TLS server on one thread; prints its port.

loop: accepts and shakes hands in the accepting thread, as `wrap_socket(listener)` does.
client: takes the role of the client on accepted sockets.
names: looks a name up at a server (PORT) that does not answer, in the SNI callback.
"""
import socket
import ssl
import sys

how = sys.argv[1]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if how == "client" else ssl.PROTOCOL_TLS_SERVER)
if how == "client":
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
else:
    context.load_cert_chain(sys.argv[2], sys.argv[3])


def look_up(_tls, name, _context):
    with socket.create_connection(("127.0.0.1", int(sys.argv[4]))) as directory:
        directory.sendall(f"who is {name}?\n".encode())
        directory.recv(100)


if how == "names":
    context.sni_callback = look_up
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    try:
        with context.wrap_socket(connection, server_side=how != "client") as tls:
            tls.sendall(b"hello\n")
    except OSError:
        pass
