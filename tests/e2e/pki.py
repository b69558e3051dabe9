# SPDX-License-Identifier: Apache-2.0
"""A certificate authority and certificates for a test, made with the openssl command."""
import pathlib
import subprocess

CONFIG = """
[ca]
default_ca = test
[test]
dir = {directory}
database = $dir/index.txt
new_certs_dir = $dir
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[right_host]
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost,IP:127.0.0.1
[wrong_host]
authorityKeyIdentifier = keyid
subjectAltName = DNS:elsewhere.example
"""


class Certificate:
    def __init__(self, directory, name):
        self.cert = str(directory / f"{name}.pem")
        self.key = str(directory / f"{name}.key")
        self.both = str(directory / f"{name}-both.pem")


class Authority:
    """ca: path of the CA's certificate; rsa, ecdsa, expired, future, small, wrong_host, client:
    Certificates."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.config = self.directory / "openssl.cnf"
        self.config.write_text(CONFIG.format(directory=self.directory))
        (self.directory / "index.txt").touch()
        self.authority = Certificate(self.directory, "ca")
        self.ca = self.authority.cert
        self._key("ca", "EC")
        self._openssl("req", "-x509", "-new", "-key", self.authority.key, "-out", self.ca,
                      "-subj", "/CN=tlstall test authority", "-days", "30",
                      "-extensions", "authority")
        self.rsa = self._certificate("rsa", "RSA")
        self.ecdsa = self._certificate("ecdsa", "EC")
        self.expired = self._certificate("expired", "EC", end="200101000000Z")
        self.future = self._certificate("future", "EC", begin="20480101000000Z")
        self.small = self._certificate("small", "small RSA")
        self.wrong_host = self._certificate("wrong_host", "EC", extensions="wrong_host")
        self.client = self._certificate("client", "EC")

    def _openssl(self, command, *arguments):
        subprocess.run(["/usr/bin/openssl", command, *(["-config", self.config]
                       if command in ("req", "ca") else []), *arguments],
                       check=True, capture_output=True, cwd=self.directory)

    def _key(self, name, algorithm):
        options = {"EC": ["ec_paramgen_curve:P-256"], "RSA": ["rsa_keygen_bits:2048"],
                   # of four primes, because a key of two takes half a minute on a busy machine
                   "large RSA": ["rsa_keygen_bits:4096", "rsa_keygen_primes:4"],
                   "small RSA": ["rsa_keygen_bits:1024"]}[algorithm]
        self._openssl("genpkey", "-algorithm", algorithm.split()[-1],
                      *(word for option in options for word in ("-pkeyopt", option)), "-out", f"{name}.key")

    def large_key(self):
        """RSA-4096: each signature takes some milliseconds."""
        return self._certificate("large", "large RSA")

    def with_long_chain(self, certificate, length):
        """The same with this many unneeded certificates more, of about 800 B each."""
        long = Certificate(self.directory, "long_chain")
        chain = [pathlib.Path(certificate.cert).read_text()]
        for i in range(length):
            self._openssl("req", "-x509", "-new", "-key", certificate.key, "-subj", f"/CN=needless {i}",
                          "-out", "needless.pem")
            chain.append((self.directory / "needless.pem").read_text())
        pathlib.Path(long.cert).write_text("".join(chain))
        pathlib.Path(long.key).write_text(pathlib.Path(certificate.key).read_text())
        return long

    def _certificate(self, name, algorithm, begin="190101000000Z", end="491231000000Z",
                     extensions="right_host"):
        certificate = Certificate(self.directory, name)
        self._key(name, algorithm)
        self._openssl("req", "-new", "-key", certificate.key, "-subj", "/CN=localhost",
                      "-out", f"{name}.csr")
        self._openssl("ca", "-batch", "-notext", "-in", f"{name}.csr", "-out", certificate.cert,
                      "-cert", self.ca, "-keyfile", self.authority.key,
                      "-startdate", begin, "-enddate", end, "-extensions", extensions)
        both = pathlib.Path(certificate.both)
        both.write_text(pathlib.Path(certificate.cert).read_text()
                        + pathlib.Path(certificate.key).read_text())
        both.chmod(0o600)
        return certificate
