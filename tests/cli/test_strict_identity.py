"""`identity: strict`: rows of another kind of GPU are another set; by default they are not."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Done, medgen
from fakes import Lines

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.run.editions import edition_names
from medgen.engine.run.folder import RunFolder, run_ids
from medgen.engine.run.reader import RunReader
from medgen.engine.store.connect import connect

COUNT, FIRST = 24, 8


class Place:
    """A store with half a run of one machine in it, and the other half to be made on another."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, str(folder / "store")
        (folder / "calls").write_text("")
        import_benchmark(Lines(COUNT), connect(self.store), ImportOptions("fake", 4))

    def run(self, device: str, *overrides: str, limit: int | None = None) -> Done:
        (self.folder / "device").write_text(device)
        how = {name: str(self.folder / name) for name in ("device", "calls")}
        benchmark: dict[str, Any] = {"name": "fake"} | ({"limit": limit} if limit else {})
        body = {
            "name": "placed",
            "store": self.store,
            "benchmark": benchmark,
            "systems": [
                {
                    "name": "placed",
                    "answer": {"target": "run.placed:Placed", "kwargs": {"execution": how}},
                }
            ],
            "protocol": {"name": "text", "metrics": {"token_f1": {}}},
            "cluster": "in-process",
            "report": False,
        }
        (self.folder / "run.yaml").write_text(yaml.safe_dump(body))
        done = medgen("run", "--config", str(self.folder / "run.yaml"), *overrides)
        assert done.returncode == 0, done.stderr
        return done

    def calls(self) -> int:
        return len((self.folder / "calls").read_text().splitlines())

    def editions(self) -> int:
        objects = connect(self.store)
        (key,) = objects.names("stages/answer")
        return len(edition_names(objects, "answer", key))

    def texts(self) -> list[set[str | None]]:
        """What the answers of each run say, of the smaller run first."""
        objects = connect(self.store)
        plans = [RunFolder(objects, run).plan() for run in run_ids(objects)]
        readers = [RunReader(objects, p) for p in sorted(plans, key=lambda p: p.shards)]
        return [
            {p.text for n in range(r.plan.shards) for p in r.predictions("placed", n)}
            for r in readers
        ]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_by_default_a_run_goes_on_where_another_kind_of_gpu_began(place: Place) -> None:
    place.run("A100", limit=FIRST)
    place.run("H100")
    assert place.calls() == COUNT
    assert place.editions() == 1
    assert place.texts() == [{"A100"}, {"A100", "H100"}]


def test_strict_begins_a_set_of_its_own_and_says_why(place: Place) -> None:
    place.run("A100", "identity=strict", limit=FIRST)
    done = place.run("H100", "identity=strict")
    assert "A100" in done.stderr
    assert "H100" in done.stderr
    assert place.calls() == FIRST + COUNT
    assert place.editions() == 2
    assert place.texts() == [{"A100"}, {"H100"}]
    again = place.run("H100", "identity=strict")
    assert place.calls() == FIRST + COUNT, again.stderr


def test_strict_goes_on_where_the_kind_of_gpu_is_the_same(place: Place) -> None:
    place.run("A100", "identity=strict", limit=FIRST)
    place.run("A100", "identity=strict")
    assert place.calls() == COUNT
    assert place.editions() == 1


def test_accepting_changes_goes_on_under_strict_and_tells_both(place: Place) -> None:
    place.run("A100", "identity=strict", limit=FIRST)
    place.run("H100", "identity=strict", "--accept-changed")
    assert place.calls() == COUNT
    assert place.editions() == 1
    objects = connect(place.store)
    plans = [RunFolder(objects, run).plan() for run in run_ids(objects)]
    reader = RunReader(objects, max(plans, key=lambda p: p.shards))
    (node,) = reader.plan.predictions("placed")
    assert {e.how["device"] for e in reader.identities(node)} == {"A100", "H100"}
