# SPDX-License-Identifier: Apache-2.0
"""texts.py LIBSSL INCLUDE: this libssl's text for each reason that the headers name.

Each line: version, library, text. Reasons for which this libssl has no text are omitted: nobody ever
sees them. Needs only the C library.
"""
import ctypes
import pathlib
import re
import sys

# Prefixes of the macros of libraries whose error can be the first of a failed handshake.
LIBRARIES = ("SSL", "X509", "X509V3", "EVP", "PEM", "RSA", "DSA", "DH", "EC", "PROV", "CRYPTO", "OSSL_STORE",
             "CONF", "BIO", "ASN1", "BN", "RAND", "OCSP", "CT", "ENGINE", "ERR")
REASON = re.compile(r"^#\s*define\s+(" + "|".join(LIBRARIES) + r")_R_(?!FATAL)[A-Z0-9_]+\s+(.*)$", re.M)
LIBRARY = re.compile(r"^#\s*define\s+ERR_LIB_([A-Z0-9_]+)\s+(\d+)", re.M)
VALUE = re.compile(r"[(\s]*(?:ERR_LIB_([A-Z0-9_]+)|(\d+))")
INIT_SSL_STRINGS, INIT_CRYPTO_STRINGS = 0x00200000, 0x2


def load(libssl):
    crypto = ctypes.CDLL(libssl.replace("libssl", "libcrypto"), ctypes.RTLD_GLOBAL)
    crypto.ERR_reason_error_string.restype = ctypes.c_char_p
    crypto.OpenSSL_version.restype = ctypes.c_char_p
    crypto.OpenSSL_version_num.restype = ctypes.c_ulong
    ctypes.CDLL(libssl).OPENSSL_init_ssl(ctypes.c_uint64(INIT_SSL_STRINGS | INIT_CRYPTO_STRINGS), None)
    return crypto


class Packing:
    """How a version packs an error, and marks the reasons that all libraries share."""

    def __init__(self, version):
        old = version < 0x30000000
        self.shift, self.common = (24, 0) if old else (23, 2 << 18)
        self.fatal = 64 if old else self.common | 1 << 18

    def reason(self, value, libraries):
        library, number = VALUE.match(value).groups()
        marks = self.fatal if "ERR_R_FATAL" in value else self.common if "COMMON" in value else 0
        return int(number or libraries[library]) | marks


def main(libssl, include):
    crypto, include = load(libssl), pathlib.Path(include)
    libraries = dict(LIBRARY.findall((include / "openssl/err.h").read_text()))
    packing = Packing(crypto.OpenSSL_version_num())
    version = crypto.OpenSSL_version(0).decode().split()[1]
    for header in sorted(include.rglob("*err.h")):
        for prefix, value in REASON.findall(header.read_text()):
            if not VALUE.match(value):
                continue
            error = int(libraries.get(prefix, 0)) << packing.shift | packing.reason(value, libraries)
            text = crypto.ERR_reason_error_string(ctypes.c_ulong(error))
            if text:
                print(version, prefix.lower(), text.decode(), sep="\t")
            else:
                print(f"texts.py: {version} has no text for {prefix} {value}", file=sys.stderr)


main(*sys.argv[1:])
