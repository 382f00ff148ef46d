"""What vLLM's processes are, seen from outside: who is there, who is gone, what they hold."""

from pathlib import Path

# A process that vLLM starts gives itself a title in place of its command line, and cannot when
# the first variable of its environment has been set anew: it then still looks as it was started.
_MARKS = (b"VLLM::", b"multiprocessing.spawn")


def descendants(root: int) -> set[int]:
    """Every process under `root`, itself left out."""
    return _under(root, _parents())


def engine_cores(root: int) -> list[int]:
    """Processes under `root` that vLLM calls its engine core."""
    parents, marked = _marked(root)
    return sorted(pid for pid in marked if parents[pid] not in marked)


def engine_workers(root: int) -> list[int]:
    """Processes under `root` that hold a model, or a part of one: an engine core's own."""
    parents, marked = _marked(root)
    return sorted(pid for pid in marked if parents[pid] in marked)


def _parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return parents


def _under(root: int, parents: dict[int, int]) -> set[int]:
    under = {root}
    while more := {p for p, parent in parents.items() if parent in under} - under:
        under |= more
    return under - {root}


def _marked(root: int) -> tuple[dict[int, int], set[int]]:
    """Everybody's parent, and those under `root` that `multiprocessing` started."""
    parents, marked = _parents(), set()
    for pid in _under(root, parents):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if any(mark in line for mark in _MARKS):
            marked.add(pid)
    return parents, marked


def alive(pid: int) -> bool:
    """Whether the process exists and is more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def private_mib(pids: set[int]) -> float:
    """Memory in MiB that would come back if these processes ended: what no other shares."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return total / 1024
