"""Components whose rows come from what lies in a folder, and a run of them in this process."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fakes import SMALL, benchmark, recipe

from medgen.actors.local_pool import LocalPool
from medgen.engine.data import Prediction, Request, Usage
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, System, make_plan
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.editions import Terms, note_editions
from medgen.engine.run.events import Event
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import Todo, survey
from medgen.engine.store.objects import Objects


class Held:
    """Answers with the words of its files; `calls` gets a line for every sample asked."""

    def __init__(
        self,
        model: str,
        tokenizer: str = "",
        lora: Mapping[str, str] | None = None,
        template: Mapping[str, str] | None = None,
        execution: Mapping[str, str] | None = None,
    ) -> None:
        places = [f"{model}/weights.bin", f"{tokenizer or model}/tokenizer.json"]
        places += [f"{lora['path']}/adapter.bin"] if lora else []
        places += [template["chat_template"]] if template else []
        self.words = " ".join(Path(place).read_text() for place in places)
        self.calls = Path((execution or {})["calls"])

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        with self.calls.open("a") as log:
            log.writelines(f"{r.sample.id}\n" for r in requests)
        told = len(self.calls.read_text())  # no two answers are the same bytes
        usage = Usage(completion_tokens=told)
        return [Prediction(r.sample.id, text=self.words, usage=usage) for r in requests]

    def passport(self) -> Mapping[str, Any]:
        return {"device": "cpu"}


class Overtaken(Held):
    """Its weights are exchanged when it has read them, before it says what they are."""

    def __init__(self, model: str, execution: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(model, execution=execution, **kwargs)
        Path(model, "weights.bin").write_text("exchanged")


def held_plan(
    objects: Objects, folder: Path, count: int = 12, target: str = "run.held:Held"
) -> Plan:
    """One system over a folder, scored by one metric."""
    kwargs = {
        "model": f"{folder}/model",
        "tokenizer": f"{folder}/tokenizer",
        "lora": {"path": f"{folder}/lora"},
        "template": {"chat_template": f"{folder}/template.jinja"},
        "execution": {"calls": f"{folder}/calls"},
    }
    system = System("held", Model(Spec(target, kwargs), SMALL))
    return make_plan(recipe(system), benchmark(objects, count))


def make_folder(folder: Path) -> Path:
    """Weights behind a link, a tokenizer, an adapter and a template."""
    for place, words in {
        "first/weights.bin": "one",
        "first/tokenizer.json": "{}",
        "tokenizer/tokenizer.json": "tokens",
        "lora/adapter.bin": "adapted",
        "template.jinja": "{{ messages }}",
    }.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(words)
    (folder / "model").symlink_to("first")
    (folder / "calls").write_text("")
    return folder


def calls(folder: Path) -> int:
    """Samples that the model was asked for so far."""
    return len((folder / "calls").read_text().splitlines())


def carry(objects: Objects, plan: Plan, terms: Terms | None = None) -> tuple[Todo, list[Event]]:
    """A start of the run: what there was to do, and what was told."""
    reader, terms, told = RunReader(objects, plan), terms or Terms(), list[Event]()
    todo = survey(reader, terms=terms)
    note_editions(objects, plan.run_id, todo.editions)
    asked = Todo(targets={key: dict(t) for key, t in todo.targets.items()}, changed=todo.changed)
    if todo.shards:
        ending = carry_out(reader, todo, LocalPool(), Options(watch=told.append, terms=terms))
        assert not ending.failed, ending
    return asked, told


def texts(objects: Objects, plan: Plan) -> set[str | None]:
    """What the answers say that the run reads now."""
    reader = RunReader(objects, plan)
    return {p.text for n in range(plan.shards) for p in reader.predictions("held", n)}
