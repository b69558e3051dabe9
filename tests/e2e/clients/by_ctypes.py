# SPDX-License-Identifier: Apache-2.0
"""by_ctypes.py PORT LIBRARY: calls libssl with ctypes, through libffi."""
import ctypes
import socket
import sys

library = ctypes.CDLL(sys.argv[2])
for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
    getattr(library, name).restype = ctypes.c_void_p
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    context = ctypes.c_void_p(library.SSL_CTX_new(ctypes.c_void_p(library.TLS_client_method())))
    ssl = ctypes.c_void_p(library.SSL_new(context))
    library.SSL_set_fd(ssl, connection.fileno())
    ret = library.SSL_connect(ssl)
    print("SSL_connect", ret, "error", library.SSL_get_error(ssl, ret))
    library.SSL_free(ssl)
