"""The core plans, submits and shows where POSIX is not: no module asks for it at import."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POSIX = ("fcntl", "grp", "pwd", "resource", "termios")
ABSENT = ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2")
# In a process of its own: what a module found here is found no more.
PROBE = f"""
import importlib, pkgutil, signal, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {POSIX!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Absent())
for name in {POSIX!r}:
    sys.modules.pop(name, None)
for name in {ABSENT!r}:
    delattr(signal, name)
import medgen.engine, medgen.launch
for package in (medgen.engine, medgen.launch):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if ".setup" not in found.name:
            importlib.import_module(found.name)
print("imported", len([name for name in sys.modules if name.startswith("medgen.")]))
"""


def test_the_core_imports_without_posix() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > 200, "all of it was walked"
