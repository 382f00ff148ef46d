"""Ceph's gateway on loopback, from a temporary folder: one monitor, one OSD in memory, radosgw.

A real S3 server whose code is nobody's imitation. Debian and Ubuntu have it (`apt-get install
--no-install-recommends radosgw ceph-mon ceph-osd ceph-mgr`); it has to run as root.
"""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from store import daemons

PROGRAMS = (
    *("ceph", "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin"),
    *("monmaptool", "ceph-authtool"),
)
KEY, SECRET = "medgenkey", "medgensecret"
_KEYS = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
}
_CONFIG = """
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon}
ms bind msgr1 = false
ms bind ipv4 = true
public addr = 127.0.0.1
cluster addr = 127.0.0.1
keyring = {place}/keyring
run dir = {place}
admin socket = {place}/$name.asok
log file = {place}/$name.log
mon data = {place}/mon
mon allow pool size one = true
mon warn on pool no redundancy = false
mon pg warn min per osd = 0
osd data = {place}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
rgw rados pool pg num min = 1
"""


def missing() -> str:
    """Why Ceph cannot be started here; empty when it can."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)} (Debian: radosgw ceph-mon ceph-osd ceph-mgr)"
    return "" if hasattr(os, "geteuid") and os.geteuid() == 0 else "Ceph's daemons want root"


@contextmanager
def gateway(place: Path) -> Iterator[str]:
    """The URL of a gateway with one user, `KEY` and `SECRET`; everything ends with the block."""
    mon, http = daemons.free_port(), daemons.free_port()
    config = place / "ceph.conf"
    config.write_text(_CONFIG.format(fsid=uuid.uuid4(), mon=mon, place=place))
    said = ["-c", str(config)]
    for name, caps in _KEYS.items():
        held = ("-C",) if not (place / "keyring").exists() else ()
        allowed = [word for cap in caps.items() for word in ("--cap", *cap)]
        _once("ceph-authtool", str(place / "keyring"), *held, "-g", "-n", name, *allowed)
    _once("monmaptool", "--create", "--addv", "a", f"v2:127.0.0.1:{mon}",
          "--fsid", _fsid(config), str(place / "monmap"))  # fmt: skip
    running: list[subprocess.Popen[bytes]] = []
    try:
        _once("ceph-mon", *said, "--mkfs", "-i", "a", "--monmap", str(place / "monmap"),
              "--keyring", str(place / "keyring"))  # fmt: skip
        running.append(daemons.start(place, "ceph-mon", *said, "-f", "-i", "a"))
        osd = str(uuid.uuid4())
        _once("ceph", *said, "--connect-timeout", "20", "osd", "create", osd)
        (place / "osd").mkdir()
        _once("ceph-osd", *said, "--mkfs", "-i", "0", "--osd-uuid", osd)
        running.append(daemons.start(place, "ceph-osd", *said, "-f", "-i", "0"))
        user = ("--uid", "medgen", "--display-name", "medgen", "--access-key", KEY)
        _once("radosgw-admin", *said, "user", "create", *user, "--secret-key", SECRET)
        beast = f"beast endpoint=127.0.0.1:{http}"
        running.append(
            daemons.start(
                place, "radosgw", *said, "-f", "-n", "client.admin", "--rgw-frontends", beast
            )
        )
        url = f"http://127.0.0.1:{http}"
        daemons.wait(url, running)
        yield url
    finally:
        for daemon in reversed(running):
            daemons.end(daemon)


def environment(url: str) -> Mapping[str, str]:
    """What an S3 client needs to know, as variables."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _fsid(config: Path) -> str:
    (line,) = (li for li in config.read_text().splitlines() if li.startswith("fsid"))
    return line.partition("=")[2].strip()


def _once(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=90, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr[-2000:]}")
