"""The prepared command for a machine with one GPU runs here on the CPU, in small."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from benchmarks import gpu

# Ray, vLLM and what only the command line needs are nowhere on that machine.
_WITHOUT = """
import runpy, sys
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"ray", "vllm", "omegaconf", "click"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nowhere())
sys.argv = ["gpu", *sys.argv[1:]]
runpy.run_module("benchmarks.gpu", run_name="__main__")
"""


def test_it_measures_without_ray_and_vllm(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    words = ["--device", "cpu", "--small", "--out", str(out)]
    root = str(Path(gpu.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, *words],
        capture_output=True, text=True, cwd=root, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(out.read_text())
    assert found["machine"]["versions"]["torch"] != "not here"
    assert [found[part]["failed"] for part in gpu.PARTS if "failed" in found[part]] == []
    for name in gpu.METRICS:
        assert found["equal"][name]["holds"], found["equal"]
        assert found["metrics"][name]["fused_per_s"] > 0
    for name in ("bertscore", "embedding_similarity"):
        assert found["metrics"][name]["limit_per_s"] > 0
        assert found["metrics"][name]["naive_per_s"] > 0
    for name in ("chat", "pipeline"):
        assert found[name].get("of_bare", 0) > 0, found[name]
    assert 0 < found["chat"]["tokens_per_s"] <= 8 * found["chat"]["ours_per_s"] * 1.001
    for line in gpu.table(found).splitlines():
        assert line in done.stdout


def test_a_part_that_fails_says_why_and_time_ends_the_rest(tmp_path: Path) -> None:
    bench = gpu.Bench("cpu", True, tmp_path, ends=0.0)
    found = gpu.measure(bench)
    assert {found[part]["left_out"] for part in gpu.PARTS} == {"no time was left"}
    assert "| psnr | - |" in gpu.table(found)


def test_wheels_beside_it_can_be_imported(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "one_made_up-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("one_made_up/__init__.py", "ANSWER = 42\n")
    before = list(sys.path)
    try:
        gpu.unpack(tmp_path, tmp_path / "out")
        import one_made_up  # type: ignore[import-not-found]

        assert one_made_up.ANSWER == 42
        assert sys.path[: len(before)] == before, "what is installed comes first"
    finally:
        sys.path[:] = before
