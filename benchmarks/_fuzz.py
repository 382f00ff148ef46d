"""A coverage-guided fuzzer on one parser of outside bytes.

    python -m benchmarks._fuzz <target of tests/hostile/targets.py> <seconds>

A target that raises, hangs for 20 s or takes 4 GiB ends the program with the bytes that did it.
"""

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
# Nothing of ours may be imported before: what is loaded already is not watched.
with atheris.instrument_imports(include=["medgen", "hostile"]):
    from hostile.targets import TARGETS

from hostile import corpus, sound


def seeds_of(name: str) -> list[bytes]:
    """Inputs to begin with: sound ones, and those of the corpus that are small."""
    kinds = {
        "records": "lines",
        "json_lines": "lines",
        "paths": "paths",
        "pictures": "pictures",
        "configurations": "configurations",
        "judge_replies": "judge replies",
        "answers": "judge replies",
        "api_replies": "endpoint replies",
    }
    contents = [entry.content for entry in corpus.entries(kinds[name])] if name in kinds else []
    found = [c.encode("utf-8", "replace") if isinstance(c, str) else c for c in contents]
    return [*sound.INPUTS[name], *(c for c in found if isinstance(c, bytes) and len(c) <= 4096)]


def main(name: str, seconds: str) -> None:
    """Fuzz; never returns."""
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds_of(name)):
            Path(folder, f"seed-{number}").write_bytes(seed)
        limits = [f"-max_total_time={seconds}", "-rss_limit_mb=4096", "-timeout=20"]
        options = [*limits, "-max_len=4096", f"-artifact_prefix={tempfile.gettempdir()}/", folder]
        atheris.Setup([sys.argv[0], *options], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
