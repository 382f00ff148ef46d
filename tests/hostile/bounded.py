"""Feed parsers in a process of its own and tell what each input cost: a line of JSON an input.

    python -m hostile.bounded corpus | sample | fuzz SECONDS [parser …]

Seconds are of processor time, of this process; MiB are what memory grew by at most meanwhile.
"""

import json
import sys
import time
import traceback
import warnings
from pathlib import Path

from hostile.parsers import inputs, mutated, parsers, seeds
from hostile.targets import Target

_COSTLY_S, _COSTLY_MIB = 1.0, 100  # from here on an input is told by itself


def main() -> None:
    """Feed everything, or mutations for a while."""
    warnings.simplefilter("ignore")
    mode, wanted = sys.argv[1], set(sys.argv[3:] if sys.argv[1] == "fuzz" else sys.argv[2:])
    with parsers() as every:
        chosen = {name: parse for name, parse in every.items() if not wanted or name in wanted}
        if mode == "fuzz":
            _fuzz(chosen, float(sys.argv[2]))
            return
        corpus = list(inputs())
        if mode == "sample":  # of those that cost nothing to make and to read
            corpus = [(title, data) for title, data in corpus if len(data) < 100_000][::10]
        for name, parse in chosen.items():
            for title, data in corpus:
                _feed(name, parse, title, data)
            _tell({"parser": name, "inputs": len(corpus)})


def _fuzz(chosen: dict[str, Target], seconds: float) -> None:
    corpus = seeds()
    for number, (name, parse) in enumerate(chosen.items()):
        until, count = time.monotonic() + seconds / len(chosen), 0
        while time.monotonic() < until:
            count += 1
            seed = number * 10_000_000 + count
            _feed(name, parse, f"seed {seed}", mutated(seed, corpus))
        _tell({"parser": name, "inputs": count})


def _feed(name: str, parse: Target, title: str, data: bytes) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    before, started, raised = _memory("VmRSS"), time.process_time(), ""
    try:
        parse(data)
    except Exception:  # noqa: BLE001 - whatever it is, it is the finding
        raised = traceback.format_exc()[-1500:]
    spent = time.process_time() - started
    grown = (_memory("VmHWM") - before) / 1024
    if raised or spent > _COSTLY_S or grown > _COSTLY_MIB:
        found = {"parser": name, "input": title, "s": spent, "mib": grown, "raised": raised}
        _tell(found)


def _tell(found: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def _memory(field: str) -> int:
    """KiB, as the kernel counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    main()
