# SPDX-License-Identifier: Apache-2.0
"""doc/PRODUCTION.md: each block marked as tested runs as written, on a host of its own: /etc, /usr and
/var are overlays over this machine's, and there is only a loopback network."""
import os
import re
import shutil
import subprocess

import pytest
import yaml

import tracing

TEXT = (tracing.ROOT / "doc" / "PRODUCTION.md").read_text()
FENCED = re.compile(r"^```\w+\n(.*?)^```$", re.M | re.S)
MARKED = re.compile(r"^<!-- (tested|not run)(?:: (.*?))? -->\n```sh\n(.*?)^```$", re.M | re.S)
TESTED = [(expected, block) for mark, expected, block in MARKED.findall(TEXT) if mark == "tested"]
NEEDS = ["nginx", "haproxy", "php-fpm8.2", "cgi-fcgi", "pg_ctlcluster", "psql", "systemd-analyze", "tlstall"]

HOST = r"""
set -eu
mount --make-rprivate /
mount -t tmpfs layers /mnt
for directory in etc usr var; do
	mkdir -p /mnt/$directory/new /mnt/$directory/work
	mount -t overlay -o lowerdir=/$directory,upperdir=/mnt/$directory/new,workdir=/mnt/$directory/work over /$directory
done
mount -t tmpfs run /run
mount -t tmpfs -o mode=1777 tmp /tmp
mkdir -p /run/php /run/haproxy
ip link set lo up
make -s -C "$1" -o all install PREFIX=/usr >/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=here -keyout /tmp/key -out /tmp/crt 2>/dev/null
cat /tmp/key /tmp/crt >/tmp/both
install -o postgres -m 600 /tmp/key /tmp/postgres.key
cat >/etc/nginx/conf.d/tls.conf <<END
server { listen 127.0.0.1:8443 ssl; ssl_certificate /tmp/crt; ssl_certificate_key /tmp/key; return 200 "hello"; }
END
cat >>/etc/haproxy/haproxy.cfg <<END
frontend tls
	bind 127.0.0.1:8444 ssl crt /tmp/both
	http-request return status 200
END
cat >/etc/postgresql/15/main/conf.d/tls.conf <<END
ssl = on
ssl_cert_file = '/tmp/crt'
ssl_key_file = '/tmp/postgres.key'
END
python3 -c '
import socket
listener, held = socket.create_server(("127.0.0.1", 4433)), []
print(flush=True)
while True:
    held.append(listener.accept())
' >/tmp/listens &
until [ -s /tmp/listens ]; do :; done
install -d -m 1777 /var/lib/tlstall
case $2 in *php*) nginx ;; esac # the server that scripts call
eval "$2"
"""


@pytest.fixture(scope="module")
def host():
    """Runs a script there; everything that it leaves is discarded."""
    if os.geteuid() != 0:
        pytest.skip("layers over /etc, /usr and /var need root")
    command = ["unshare", "-m", "-n", "-p", "-f", "--kill-child", "--mount-proc", "sh", "-c", HOST, "sh",
               str(tracing.ROOT)]
    able = subprocess.run(["unshare", "-m", "sh", "-c", "mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w && mount -t overlay "
                           "-o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w o /etc"], capture_output=True)
    if able.returncode:
        pytest.skip("no layers (overlay file systems) can be made here")
    return lambda script: tracing.run([*command, script], env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


def test_each_block_is_marked():
    assert len(MARKED.findall(TEXT)) == len(FENCED.findall(TEXT))
    assert len(TESTED) >= 8


@pytest.mark.parametrize("expected, block", TESTED, ids=[block.splitlines()[0][:40] for _, block in TESTED])
def test_recipe(host, expected, block):
    for program in NEEDS[:-1]:
        if re.search(rf"(^|[ (]){program}\b", block, re.M) and not shutil.which(program, path="/usr/sbin:/usr/bin"):
            pytest.skip(f"no {program} here")
    result = host(block)
    assert result.status == 0, result
    assert (expected or "") in result.stdout + result.stderr
    if "report --format jsonl" in block:
        handshakes = tracing.Trace(result.stdout[result.stdout.index("{"):]).handshakes
        assert handshakes and all(r.outcome == "ok" or "php" in block for r in handshakes)
        assert all(r.get("comm") for r in handshakes)


def test_the_pod_agrees_with_itself():
    pod = yaml.safe_load((tracing.ROOT / "doc" / "examples" / "kubernetes.yaml").read_text())["spec"]
    volumes = {v["name"] for v in pod["volumes"]}
    program, copier = pod["containers"][0], pod["initContainers"][0]
    for container in (program, copier):
        assert {m["name"] for m in container["volumeMounts"]} <= volumes
    mounts = {m["name"]: m["mountPath"] for m in program["volumeMounts"]}
    env = {e["name"]: e["value"] for e in program["env"]}
    assert env.pop("LD_PRELOAD") == mounts["tlstall"] + "/libtlstall.so"
    assert env["TLSTALL_DIR"] == mounts["traces"]
    options = [word for name, value in env.items() for word in (f"--{name.removeprefix('TLSTALL_').lower()}", value)]
    assert tracing.run([tracing.TLSTALL, "env", *options]).status == 0
    assert copier["command"][-1].rstrip("/") == mounts["tlstall"]


def unpacked(directory, architecture):
    """What the image gets: the Dockerfile's command over stand-ins for the archives."""
    text = (tracing.ROOT / "doc" / "examples" / "Dockerfile").read_text()
    (command,) = re.findall(r"^RUN ((?:.*\\\n)*.*)", text, re.M)
    for machine in ("x86_64", "aarch64"):
        tree = directory / f"tlstall-1-{machine}"
        tree.mkdir()
        (tree / "tlstall").write_text(machine)
        subprocess.run(["tar", "-C", directory, "-czf", directory / f"{tree.name}.tar.gz", tree.name], check=True)
    result = subprocess.run(["sh", "-c", command], cwd=directory, env={"PATH": os.environ["PATH"], "TARGETARCH": architecture},
                            capture_output=True, text=True, check=False)
    program = directory / "tlstall" / "tlstall"
    return program.read_text() if program.exists() else result.stderr


@pytest.mark.parametrize("architecture,has", [("amd64", "x86_64"), ("arm64", "aarch64"), ("s390x", "no archive is for 's390x'"),
                                              ("", "no archive is for ''")])
def test_the_image_is_of_its_architecture(directory, architecture, has):
    assert unpacked(directory, architecture).startswith(has)
