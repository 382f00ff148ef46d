"""An audit asks about a share of finished samples again, changes no row, and says what differs."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from commands import medgen
from fakes import Lines

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.plan.identity import Spec
from medgen.engine.run.again import Audited
from medgen.engine.store.connect import connect
from medgen.launch.audit import _literal

SAMPLES = 6


def config(folder: Path) -> str:
    store = str(folder / "store")
    import_benchmark(Lines(SAMPLES), connect(store), ImportOptions("fake", 3))

    def system(name: str, fickle: list[str]) -> dict[str, Any]:
        kwargs = {"fickle": fickle, "execution": {"calls": str(folder / name)}}
        return {"name": name, "answer": {"target": "run.fickle:Fickle", "kwargs": kwargs}}

    judge = {"fickle": ["s0002"], "execution": {"seen": str(folder / "judged")}}
    body = {
        "name": "audited",
        "store": store,
        "benchmark": {"name": "fake"},
        "systems": [system("fickle", ["s0000", "s0004"]), system("steady", []), "oracle"],
        "judges": [
            {
                "name": "j",
                "target": "run.fickle:FickleJudge",
                "kwargs": judge,
                "systems": ["steady"],
            }
        ],
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "cluster": "in-process",
        "report": False,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(body))
    return str(path)


def asked(folder: Path, system: str) -> int:
    return len((folder / system).read_text().split())


def test_an_audit_says_who_repeats_himself_and_by_how_much_not(tmp_path: Path) -> None:
    path = config(tmp_path)
    early = medgen("audit", "--config", path)
    assert "fickle: nothing to ask again" in early.stdout, early.stderr
    assert not (tmp_path / "fickle").exists(), "an audit makes no row that is not there"
    done = medgen("run", "--config", path)
    assert done.returncode == 0, done.stderr
    done = medgen("audit", "--config", path, "--share", "1")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert f"fickle: 2 of {SAMPLES} are others (33.3 %, 95 % 4.3 to 77.7)" in said
    assert any(line.startswith(f"steady: 0 of {SAMPLES} are others") for line in said)
    (judged,) = [line for line in said if line.startswith("judge j over steady")]
    assert f"1 of {SAMPLES} are others" in judged
    assert judged.endswith("scores differ by 0.33 in the mean, 2 at most")
    assert not any("oracle" in line for line in said)
    assert (asked(tmp_path, "fickle"), asked(tmp_path, "steady")) == (2 * SAMPLES, 2 * SAMPLES)

    # Neither is anything asked a third time, nor has the run anything to do.
    again = medgen("audit", "--config", path, "--share", "1")
    assert again.stdout.splitlines() == said
    assert medgen("run", "--config", path).returncode == 0
    assert asked(tmp_path, "fickle") == 2 * SAMPLES


def test_a_share_of_nothing_is_refused(tmp_path: Path) -> None:
    done = medgen("audit", "--config", config(tmp_path), "--share", "0")
    assert (done.returncode, "above 0 and at most 1" in done.stderr) == (2, True)


def test_a_share_is_the_same_samples_in_every_run() -> None:
    inner = {"target": "fakes:Echo", "kwargs": {}}
    names = [f"s{i}" for i in range(2000)]
    first: Audited = Spec("audited", {"inner": inner, "share": 0.1}).build()
    more: Audited = Spec("audited", {"inner": inner, "share": 0.2}).build()
    few = {name for name in names if first.chooses(name)}
    assert 150 < len(few) < 250
    assert few == {name for name in names if first.chooses(name)}
    assert few < {name for name in names if more.chooses(name)}


def test_an_audit_of_a_system_is_of_no_other_however_it_is_called() -> None:
    name = "a*b [c] d?"
    assert fnmatchcase(name, _literal(name))
    for other in ("ab [c] d?", "a*b c d?", "a*b [c] dx", "axb [c] d?"):
        assert not fnmatchcase(other, _literal(name))
