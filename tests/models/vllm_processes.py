"""What vLLM's processes are, seen from outside: who is there, who is gone, what they hold."""

from pathlib import Path


def descendants(root: int) -> set[int]:
    """Every process under `root`, itself left out."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    under = {root}
    while more := {p for p, parent in parents.items() if parent in under} - under:
        under |= more
    return under - {root}


def engine_cores(root: int) -> list[int]:
    """Processes under `root` that vLLM calls its engine core."""
    return _named(root, b"EngineCore", b"VLLM::Engin")


def engine_workers(root: int) -> list[int]:
    """Processes under `root` that hold a model, or a part of one."""
    return _named(root, b"VLLM::Worker")


def _named(root: int, *marks: bytes) -> list[int]:
    found = []
    for pid in sorted(descendants(root)):
        try:
            name = (
                Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/comm").read_bytes()
            )
        except OSError:
            continue
        if any(mark in name for mark in marks):
            found.append(pid)
    return found


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
