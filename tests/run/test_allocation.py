"""What a process gives back once it is freed."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import os
import numpy as np
import pyarrow as pa
from medgen.engine.allocation import POOL, keep_little

os.environ[POOL] = sys.argv[2]

if sys.argv[1] == "little":
    keep_little()

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

pa.array([""])  # which imports what it needs
before = held()
for size in (1, 4, 16, 30):  # MiB; glibc keeps what is no larger than what was freed before
    kept = [np.ones(size * 2**17) for _ in range(4)]
    texts = [pa.array([str(n) for n in range(size * 10_000)]) for _ in range(4)]
    small = np.ones(10_000)  # on top of them
    del kept, texts
print(held() - before, pa.default_memory_pool().backend_name, os.environ.get(POOL))
"""


def grown(how: str, asked: str = "system") -> tuple[float, tuple[str, ...]]:
    call = [sys.executable, "-c", PROGRAM, how, asked]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    mib, *pool = done.stdout.split()
    return float(mib), tuple(pool)


def test_what_is_freed_goes_back_to_the_system():
    kept, _ = grown("much")
    little, pool = grown("little")
    assert pool == ("system", "None"), "and workers keep Arrow's own"
    assert grown("little", "mimalloc")[1] == ("system", "mimalloc"), "which somebody asked for"
    assert little < min(kept, 40)


FRAMES = """
import sys
import pyarrow as pa
from medgen.engine.allocation import spare_pandas

spare_pandas()
pa.table({"a": [1, None]}), pa.array(range(3))
assert "pandas" not in sys.modules
assert pa.table({"a": [1.0, 2.0]}).to_pandas()["a"].sum() == 3
import pandas
assert pa.array(pandas.Series([1.0, float("nan")])).null_count == 1
"""


def test_pandas_is_spared_until_it_is_asked_for():
    done = subprocess.run([sys.executable, "-c", FRAMES], capture_output=True, text=True)
    assert not done.returncode, done.stderr


HOLES = """
import sys
import numpy as np
from medgen.engine.allocation import give_back

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

kept = [np.ones(2**13) for _ in range(1000)]  # 64 MiB in pieces that are no mappings of their own
before = held()
kept = kept[::2]
if sys.argv[1] == "back":
    give_back()
print(before - held())
"""


def test_holes_between_what_is_held_go_back_as_well():
    def freed(how: str) -> float:
        call = [sys.executable, "-c", HOLES, how]
        done = subprocess.run(call, capture_output=True, text=True, check=True)
        return float(done.stdout)

    assert freed("kept") < 5
    assert freed("back") > 25


POOL = """
import sys
from medgen.launch.cli import main
try:
    main(["list", "metrics"])
except SystemExit:
    pass
import pyarrow
print(pyarrow.default_memory_pool().backend_name, file=sys.stderr)
"""


@pytest.mark.parametrize(("asked", "pool"), [("", "system"), ("mimalloc", "mimalloc")])
def test_a_command_uses_the_pool_that_gives_back_unless_another_is_asked_for(asked, pool):
    said = {k: v for k, v in os.environ.items() if k != "ARROW_DEFAULT_MEMORY_POOL"}
    said |= {"ARROW_DEFAULT_MEMORY_POOL": asked} if asked else {}
    call = [sys.executable, "-c", POOL]
    done = subprocess.run(call, capture_output=True, text=True, check=True, env=said)
    assert done.stderr.split()[-1] == pool
