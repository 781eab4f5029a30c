"""A real S3 server on loopback: OpenStack Swift with its s3api, one node.

It runs from its package in a virtual environment of its own (`make` sets it up from
requirements.txt beside this file). As a program, `server.py SWIFT_PYTHON FOLDER` prints one line of
JSON with the endpoint and the keys, and runs until its standard input ends: whoever started it need
not live to stop it.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ACCESS_KEY, SECRET_KEY, REGION = "test:tester", "testing", "us-east-1"
_BACK_ENDS = ("account", "container", "object")
_PATIENCE_S = 60
# The daemons read swift.conf from a fixed folder unless told otherwise in code.
_SHIM = """
import sys
from pathlib import Path
from swift.common import utils
conf = str(Path(sys.argv[1]).parent / "swift.conf")
utils.SWIFT_CONF_FILE = conf
try:
    import swift.common.utils.config as config
    config.SWIFT_CONF_FILE = conf
except ImportError:
    pass
import swift.common.storage_policy as policy
policy.SWIFT_CONF_FILE = conf
policy.reload_storage_policies()
from swift.common.wsgi import run_wsgi
sys.exit(run_wsgi(sys.argv[1], sys.argv[2]))
"""
_SWIFT = """
[swift-hash]
swift_hash_path_suffix = a
swift_hash_path_prefix = b
[storage-policy:0]
name = one
default = yes
"""
_COMMON = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
user = {user}
log_address = /dev/null
log_name = {name}
"""
_BACK = """
devices = {folder}/disks
mount_check = false
workers = 0
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""
_FILTERS = {
    "catch_errors": "",
    "proxy-logging": "",
    "cache": "memcache_servers = 127.0.0.1:1",
    "listing_formats": "",
    "bulk": "",
    "s3api": "s3_acl = false\nlocation = us-east-1\nmin_segment_size = 1",
    "tempauth": "user_test_tester = testing .admin",
    "copy": "",
    "slo": "",
    "dlo": "",
    "versioned_writes": "allow_object_versioning = true",
    "symlink": "",
}


def _proxy() -> str:
    names = " ".join(_FILTERS)
    head = (
        f"workers = 1\n[pipeline:main]\npipeline = {names} proxy-server\n"
        "[app:proxy-server]\nuse = egg:swift#proxy\n"
        "account_autocreate = true\nallow_account_management = true\n"
    )
    eggs = {"cache": "memcache", "proxy-logging": "proxy_logging"}
    filters = (
        f"[filter:{name}]\nuse = egg:swift#{eggs.get(name, name)}\n{options}\n"
        for name, options in _FILTERS.items()
    )
    return head + "".join(filters)


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


def _set_up(python: Path, folder: Path, ports: Mapping[str, int]) -> None:
    (folder / "disks" / "d1").mkdir(parents=True)
    (folder / "swift.conf").write_text(_SWIFT)
    (folder / "shim.py").write_text(_SHIM)
    for name, port in ports.items():
        form = {"folder": folder, "name": name, "port": port, "user": getpass.getuser()}
        body = _proxy() if name == "proxy" else _BACK.format(**form)
        (folder / f"{name}.conf").write_text(_COMMON.format(**form) + body)
        if name == "proxy":
            continue
        place = f"r1z1-127.0.0.1:{port}/d1"
        for step in (["create", "6", "1", "0"], ["add", place, "1"], ["rebalance"]):
            subprocess.run(
                [python, python.parent / "swift-ring-builder", f"{name}.builder", *step],
                check=True,
                stdout=subprocess.DEVNULL,
                cwd=folder,
            )


def _wait_until_up(port: int, servers: list[subprocess.Popen[bytes]]) -> None:
    for _ in range(_PATIENCE_S * 5):
        if any(server.poll() is not None for server in servers):
            raise SystemExit("a part of the S3 server ended at its start")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the S3 server did not come up")


def main(python: Path, folder: Path) -> None:
    """Run the server in the empty `folder` until standard input ends."""
    names = (*_BACK_ENDS, "proxy")
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    _set_up(python, folder, ports)
    servers = [
        subprocess.Popen(
            [python, folder / "shim.py", folder / f"{name}.conf", f"{name}-server"],
            env={**os.environ, "SWIFT_DIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        for name in names
    ]
    try:
        _wait_until_up(ports["proxy"], servers)
        about = {
            "endpoint": f"http://127.0.0.1:{ports['proxy']}",
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
        }
        sys.stdout.write(json.dumps(about) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


@contextmanager
def running_server(python: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Run the server for the length of the block; yield endpoint and keys."""
    with (folder / "errors").open("wb") as errors:
        runner = subprocess.Popen(
            [sys.executable, __file__, str(python), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert runner.stdin
    assert runner.stdout
    try:
        line = runner.stdout.readline()
        assert line, (folder / "errors").read_text(errors="replace")
        yield json.loads(line)
    finally:
        runner.stdin.close()
        runner.wait(30)
        runner.stdout.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).resolve())
