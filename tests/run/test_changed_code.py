"""The code of a metric or prompt is part of what made its rows; how it is written is not."""

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import echo, plan
from run.held import carry

from medgen.engine import source
from medgen.engine.modules import source_of
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Plan, System
from medgen.engine.run.reader import RunReader
from medgen.engine.source import code_of
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects

SCORER = '''"""A scorer of another package."""

from fakes import Lengths
from beside import FACTOR_BESIDE
from spaced.inner.number import FACTOR_SPACED
from worded.helper import FACTOR


class Scaled(Lengths):
    def score(self, samples, predictions, wanted):
        from dataclasses import replace

        factor = FACTOR * FACTOR_BESIDE * FACTOR_SPACED
        rows = super().score(samples, predictions, wanted)
        return {
            k: [replace(s, values={n: v * factor for n, v in s.values.items()}) for s in found]
            for k, found in rows.items()
        }
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site" / "worded"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "helper.py").write_text("FACTOR = 1.0\n")
    (folder.parent / "beside.py").write_text("FACTOR_BESIDE = 1.0\n")
    (folder.parent / "spaced/inner").mkdir(parents=True)  # packages without an `__init__`
    (folder.parent / "spaced/inner/number.py").write_text("FACTOR_SPACED = 1.0\n")
    (folder / "scorer.py").write_text(SCORER)
    monkeypatch.syspath_prepend(str(folder.parent))
    forget()
    return folder


def forget() -> None:
    for name in [n for n in sys.modules if n.split(".")[0] in ("worded", "beside", "spaced")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def edit(file: Path, old: str, new: str) -> None:
    """Change a module, and have it imported anew as another process would."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    forget()


def values(objects: Objects, work: Plan) -> list[float]:
    reader = RunReader(objects, work)
    (score,) = [n for n in work.nodes.values() if n.stage == "score"]
    tables = [reader.table(score, n) for n in range(work.shards)]
    return [v for t in tables if t is not None for v in t["length"].to_pylist()]


EDITS: dict[str, Callable[[Path], None]] = {
    "the class": lambda p: edit(p / "scorer.py", "v * factor", "v * factor * 1000"),
    "a module that it imports": lambda p: edit(p / "helper.py", "1.0", "1000.0"),
    "a file beside its package": lambda p: edit(p.parent / "beside.py", "1.0", "1000.0"),
    "a file of another folder": lambda p: edit(p.parent / "spaced/inner/number.py", "1.0", "1e3"),
}


@pytest.mark.parametrize("what", EDITS)
def test_a_metric_whose_code_was_edited_scores_anew(
    what: str, package: Path, tmp_path: Path
) -> None:
    objects = connect(str(tmp_path / "store"))
    log = tmp_path / "calls"
    system = System("echo", echo(execution={"calls": str(log)}))
    work = plan(objects, system, count=12, scorer=Spec("worded.scorer:Scaled"))
    carry(objects, work)
    before = values(objects, work)
    EDITS[what](package)
    todo, _ = carry(objects, work)
    assert [words for words in todo.changed.values() if words[0].startswith("code.")]
    assert values(objects, work) == [1000 * v for v in before]
    assert len(log.read_text().splitlines()) == 12, "the model was asked nothing"
    assert carry(objects, work)[0].shards == 0


def test_of_what_a_class_imports_what_is_installed_is_known_by_its_release(package: Path) -> None:
    site = package.parent.parent / "site-packages"
    site.mkdir()
    (package.parent / "beside.py").rename(site / "beside.py")
    sys.path.append(str(site))  # `package` puts back what was there
    edit(package / "helper.py", "FACTOR", "import json, numpy\nFACTOR")
    assert {name.partition(".")[0] for name in code_of("worded.scorer:Scaled")} == {
        "fakes",
        "spaced",
        "worded",
    }


def test_a_name_that_is_no_module_is_looked_for_nowhere_else(package: Path) -> None:
    (package.parent / "json_like").mkdir()
    edit(package / "helper.py", "FACTOR", "json_like = FACTOR")
    edit(package / "scorer.py", "import FACTOR\n", "import FACTOR, json_like\n")
    assert "worded.helper.json_like" not in code_of("worded.scorer:Scaled")


def test_comments_and_layout_are_no_code(package: Path, tmp_path: Path) -> None:
    objects = connect(str(tmp_path / "store"))
    work = plan(objects, count=12, scorer=Spec("worded.scorer:Scaled"))
    carry(objects, work)
    edit(package / "scorer.py", "    def score", "    # what follows scales\n\n    def score")
    edit(package / "scorer.py", "A scorer of another package.", "Scales.")
    assert carry(objects, work)[0].shards == 0


DECIDING = {
    "medgen.adapters.judges.chat_judge:ChatJudge": "medgen.engine.judging.prompts",
    "medgen.adapters.models.answering:Answers": "medgen.engine.chat.answering",
    "medgen.metrics.text.ngrams:Bleu": "medgen.metrics.text.ngrams",
    "medgen.metrics.image.pixel:PSNR": "medgen.metrics.pictures",
}


@pytest.mark.parametrize("target", DECIDING)
def test_our_prompts_and_metrics_count_by_their_content(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, before = DECIDING[target], code_of(target)
    lies = source_of(module)
    assert module in before
    assert lies is not None
    copy = tmp_path / "copy.py"
    shutil.copy(lies, copy)
    copy.write_text(copy.read_text() + "\nEDITED = True\n")
    monkeypatch.setattr(source, "source_of", lambda n: copy if n == module else source_of(n))
    after = code_of(target)
    assert {name for name in before if before[name] != after[name]} == {module}


def test_clients_and_lists_of_weights_are_none_of_it() -> None:
    for target in DECIDING:
        assert not [m for m in code_of(target) if m.startswith("medgen.adapters")]
        assert "medgen.metrics.weights" not in code_of(target)


def test_the_order_of_what_code_decides_does_not_depend_on_a_process() -> None:
    look = (
        "from medgen.engine.source import code_of; from medgen.engine.registry import find; "
        "names = ('answers', 'chat-judge', 'fused-scorer'); "
        "print([list(code_of(find(name).target).items()) for name in names])"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", look], check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(found) == 1
    assert found.pop().count("medgen.") > 8, "so many that they could come in another order"
