"""Rows of what ran before and of what runs now never lie in one set, and nobody is told nothing."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from run.held import calls, carry, held_plan, make_folder, texts

from medgen.engine.errors import IdentityError
from medgen.engine.plan.effective import Effective, flat
from medgen.engine.run import editions
from medgen.engine.run.editions import Terms, edition_names
from medgen.engine.run.reader import RunReader
from medgen.engine.run.stages import Manner, make_worker
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import StagePlace
from medgen.engine.store.objects import Objects


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDGEN_CACHE", str(tmp_path / "cache"))
    return make_folder(tmp_path / "weights")


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def test_a_part_is_the_same_text_whatever_the_order_and_the_form_of_numbers() -> None:
    found = dict(flat({"a": {"b": [{"x": 1, "y": 2.0}], "c": "words"}, "d": {}}))
    assert found == {"a.b": '[{"x": 1, "y": 2}]', "a.c": "words", "d": "{}"}
    assert dict(flat({"d": {}, "a": {"c": "words", "b": [{"y": 2, "x": 1.0}]}})) == found


def rewrite(place: str, words: str = "other") -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / place).write_text(words)

    return change


def in_secret(folder: Path) -> None:
    """The same size, and the time that it had."""
    file = folder / "first/weights.bin"
    before = file.stat()
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def lead_elsewhere(folder: Path) -> None:
    shutil.copytree(folder / "first", folder / "second")
    (folder / "second/weights.bin").write_text("two")
    (folder / "model").unlink()
    (folder / "model").symlink_to("second")


def in_a_linked_folder(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/more.bin").write_text("more")
    (folder / "first/parts").symlink_to("../elsewhere")


def swap_lora(folder: Path) -> None:
    (folder / "lora").rename(folder / "old")
    (folder / "lora").mkdir()
    (folder / "lora/adapter.bin").write_text("otherwise")


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "weights at the same path": (rewrite("first/weights.bin"), "files.model"),
    "weights of the same size and time": (in_secret, "files.model"),
    "a link that leads elsewhere": (lead_elsewhere, "files.model"),
    "a folder that is linked into another": (in_a_linked_folder, "files.model"),
    "a tokenizer only": (rewrite("tokenizer/tokenizer.json"), "files.tokenizer"),
    "an adapter": (swap_lora, "files.lora.path"),
    "a template": (rewrite("template.jinja", "{{ x }}"), "files.template.chat_template"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_what_changed_beneath_a_recipe_begins_a_new_set_of_rows(
    kind: str, folder: Path, objects: Objects
) -> None:
    change, named = CHANGES[kind]
    plan = held_plan(objects, folder)
    carry(objects, plan)
    assert calls(folder) == 12
    assert carry(objects, plan)[0].shards == 0
    old = texts(objects, plan)
    change(folder)
    todo, told = carry(objects, plan)
    (answer,) = plan.predictions("held")
    assert any(words.startswith(f"{named} was ") for words in todo.changed[answer.key])
    assert not [e for e in told if e.kind == "identity"], "what was seen is not said again"
    assert calls(folder) == 24, "every sample was asked anew"
    assert len(texts(objects, plan)) == 1, "no old row stands beside a new one"
    assert len(edition_names(objects, "answer", answer.key)) == 2
    assert carry(objects, plan)[0].shards == 0
    kept = set(edition_names(objects, "answer", answer.key))
    now = RunReader(objects, plan).stage(answer).place.edition
    reader = RunReader(objects, plan)
    reader.pin(answer.key, (kept - {now}).pop())
    assert {p.text for p in reader.predictions("held", 0)} == old, "the old rows are whole"


def test_what_came_back_finds_its_rows_and_their_scores_again(
    folder: Path, objects: Objects
) -> None:
    plan = held_plan(objects, folder)
    carry(objects, plan)
    rewrite("first/weights.bin")(folder)
    carry(objects, plan)
    rewrite("first/weights.bin", "one")(folder)
    todo, _ = carry(objects, plan)
    assert todo.shards == 0
    assert calls(folder) == 24
    assert texts(objects, plan) == {"one tokens adapted {{ messages }}"}


def touch(folder: Path) -> None:
    os.utime(folder / "first/weights.bin")


def copy(folder: Path) -> None:
    shutil.copytree(folder / "first", folder / "second")
    (folder / "model").unlink()
    (folder / "model").symlink_to("second")


def leave_beside(folder: Path) -> None:
    (folder / "first/.cache").mkdir()
    (folder / "first/.cache/download.lock").write_text("now")


@pytest.mark.parametrize("change", [touch, copy, leave_beside])
def test_the_same_content_is_the_same(
    change: Callable[[Path], None], folder: Path, objects: Objects
) -> None:
    plan = held_plan(objects, folder)
    carry(objects, plan)
    change(folder)
    todo, _ = carry(objects, plan)
    assert (todo.shards, todo.changed) == (0, {})


def test_changes_are_accepted_on_request_and_all_that_ran_is_told(
    folder: Path, objects: Objects
) -> None:
    plan = held_plan(objects, folder)
    carry(objects, plan)
    rewrite("first/weights.bin")(folder)
    (answer,) = plan.predictions("held")
    assert carry(objects, plan, Terms(accept=True))[0].shards == 0
    stage = RunReader(objects, plan).stage(answer)
    objects.delete(stage.path(1))
    carry(objects, plan, Terms(accept=True))
    assert calls(folder) == 16
    assert len(texts(objects, plan)) == 2
    held = RunReader(objects, plan).identities(answer)
    assert len({one.parts["files.model"] for one in held}) == 2


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that sees none of what its workers hold, as one on another machine."""
    monkeypatch.setattr(editions, "seen_of", lambda plan, node: {})


@pytest.mark.usefixtures("blind")
def test_a_worker_that_holds_another_makes_the_driver_look_again(
    folder: Path, objects: Objects
) -> None:
    plan = held_plan(objects, folder)
    carry(objects, plan)
    (answer,) = plan.predictions("held")
    objects.delete(RunReader(objects, plan).stage(answer).path(1))
    rewrite("first/weights.bin")(folder)
    todo, told = carry(objects, plan)
    assert len(todo.targets[answer.key]) == 1, "the driver saw one shard that is missing"
    (event,) = [e for e in told if e.kind == "identity"]
    assert any("files.model was" in words for words in event.details["changes"])
    assert calls(folder) == 24
    assert texts(objects, plan) == {"other tokens adapted {{ messages }}"}
    assert carry(objects, plan)[0].shards == 0


@pytest.mark.usefixtures("blind")
def test_a_worker_may_hold_what_made_an_older_set(folder: Path, objects: Objects) -> None:
    plan = held_plan(objects, folder)
    carry(objects, plan)
    (answer,) = plan.predictions("held")
    for words in ("other", "one"):
        objects.delete(RunReader(objects, plan).stage(answer).path(1))
        rewrite("first/weights.bin", words)(folder)
        carry(objects, plan)
    assert calls(folder) == 12 + 12 + 4, "of the first set one shard was missing"
    assert texts(objects, plan) == {"one tokens adapted {{ messages }}"}


def test_a_node_that_holds_another_than_the_first_is_refused_with_the_difference(
    folder: Path, objects: Objects
) -> None:
    plan = held_plan(objects, folder)
    (answer,) = plan.predictions("held")
    here = Manner(discreet=False, terms=Terms(driver="d1"))
    make_worker(objects.url, plan, answer.group, here)
    make_worker(objects.url, plan, answer.group, here)
    rewrite("lora/adapter.bin")(folder)
    with pytest.raises(IdentityError, match=r"files\.lora\.path was \w+ and is \w+"):
        make_worker(objects.url, plan, answer.group, here)
    other = Manner(discreet=False, terms=Terms(driver="d2"))
    make_worker(objects.url, plan, answer.group, other)


def test_what_is_exchanged_while_it_is_loaded_makes_no_row(folder: Path, objects: Objects) -> None:
    plan = held_plan(objects, folder, target="run.held:Overtaken")
    _, told = carry(objects, plan)
    (why,) = [e.details["error"] for e in told if e.kind == "trouble"]
    assert "was changed while it was loaded: files.model was" in why
    assert texts(objects, plan) == {"exchanged tokens adapted {{ messages }}"}
    assert calls(folder) == 12


def test_what_cannot_be_read_is_another(folder: Path, objects: Objects) -> None:
    plan = held_plan(objects, folder)
    carry(objects, plan)
    (folder / "first/gone.bin").symlink_to("nowhere")  # a link without an end is no file
    assert survey(RunReader(objects, plan)).changed == {}
    shutil.rmtree(folder / "lora")
    (answer,) = plan.predictions("held")
    reader = RunReader(objects, plan)
    objects.delete(reader.stage(answer).path(1))
    with pytest.raises(AssertionError, match="adapter"):
        carry(objects, plan)
    assert calls(folder) == 12


def test_each_edition_of_a_key_has_an_identity_of_its_own(objects: Objects) -> None:
    place = StagePlace("answer", "k")
    first, other = (Effective({"files.model": words}) for words in ("first", "other"))
    names = [editions.record_identity(objects, place, found, {}) for found in (first, other, first)]
    assert names == [first.name, other.name, first.name]
    recorded = [editions.read_record(objects, place, name) for name in ("", other.name)]
    assert [record and record.effective for record in recorded] == [first, other]
    assert editions.read_record(objects, place, first.name) is None, "it stands once"
