"""Which edition of a stage a run reads and writes: the rows of one effective identity.

A key says what was asked; under it lies an edition for each identity that answered. Beside its
rows stands what made them, written once, and that of the stages upstream, so that the scores of
old and new answers never lie in one folder. A run names its editions in `editions.json`.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from medgen.engine.codec import decode, encode, fingerprint, seal_json, with_seal
from medgen.engine.errors import ConfigError, CorruptError, IdentityError
from medgen.engine.plan.effective import Effective, changes, seen_parts
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.run.folder import now
from medgen.engine.store.glance import names_of_editions
from medgen.engine.store.layout import RunPlace, StagePlace, edition_of, is_edition
from medgen.engine.store.objects import Objects
from medgen.engine.threads import in_threads

# What is there was made by something else: a worker will say by what, and begin an edition of it.
ANOTHER = "another"


@dataclass(frozen=True, slots=True)
class Terms:
    """How a run holds what it finds against what made the rows that are there."""

    accept: bool = False  # go on in the last edition, whatever makes rows now
    strict: bool = False  # GPU type, parallel sizes and attention backend count as well
    driver: str = ""  # names the claims of this driver's workers; empty: workers claim nothing


@dataclass(frozen=True, slots=True)
class Record:
    """An identity as it is kept beside rows, and the editions that it read."""

    effective: Effective
    upstream: Mapping[str, str] = field(default_factory=dict)  # key -> edition
    written: str = ""  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class Chosen:
    """The edition of each key (empty: there is none), and how what is there now differs."""

    editions: Mapping[str, str]
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def spec_of(plan: Plan, node: Node) -> Spec:
    """The recipe of what makes a node's rows: of several in one worker, the node's own."""
    spec = plan.groups[node.group].spec
    metrics = spec.kwargs.get("metrics")
    if isinstance(metrics, Mapping) and isinstance(metrics.get(node.label), Mapping):
        return Spec(**metrics[node.label])
    return spec


def around(plan: Plan, node: Node) -> Spec | None:
    """The recipe of the worker's component where it only holds the node's own."""
    spec = plan.groups[node.group].spec
    if spec_of(plan, node) == spec:
        return None
    return Spec(spec.target, {n: v for n, v in spec.kwargs.items() if n != "metrics"})


def seen_of(plan: Plan, node: Node) -> dict[str, str]:
    """What this process can see of what would make a node's rows."""
    outer = around(plan, node)
    try:
        return (seen_parts(outer) if outer else {}) | seen_parts(spec_of(plan, node))
    except ConfigError:  # a component that is on the workers only
        return {}


def differences(record: Record, found: Effective, strict: bool) -> tuple[str, ...]:
    """How an identity differs from the one that is recorded, in words."""
    words = changes(record.effective.parts, found.parts)
    return (*words, *changes(record.effective.how, found.how)) if strict else words


def name_edition(found: Effective, upstream: Mapping[str, str], strict: bool) -> str:
    """The name of the edition that an identity begins."""
    return fingerprint(found.parts, upstream, found.how if strict else {})


def record_identity(
    objects: Objects, place: StagePlace, found: Effective, upstream: Mapping[str, str]
) -> str:
    """Leave beside an edition's rows what makes them, unless it stands there. Returns its name."""
    record = Record(found, dict(upstream), now())
    if not objects.create(place.identity(), with_seal(record)):
        founder = read_record(objects, place)
        if founder is None or founder.effective.name != found.name:
            objects.create(place.identity(found.name), with_seal(record))
    return found.name


def read_record(objects: Objects, place: StagePlace, name: str = "") -> Record | None:
    """An identity beside an edition's rows; None when it is not there.

    Raises:
        CorruptError: it cannot be read.
    """
    path = place.identity(name)
    try:
        return decode(Record, objects.read(path), f"{path}: not an identity")
    except FileNotFoundError:
        return None


def check_record(path: str, data: bytes) -> None:
    """Prove an identity by the names that it gave: its edition's, or its own.

    Raises:
        CorruptError: it is not what gave them, or cannot be read.
    """
    record = decode(Record, data, f"{path}: not an identity")
    found = record.effective
    names = {name_edition(found, record.upstream, strict) for strict in (False, True)}
    place = edition_of(path)
    founders = {replace(place, edition=name).identity() for name in names}
    if path not in founders | {place.identity(found.name)}:
        raise CorruptError(f"{path} is not the identity that its name stands for")


def record_of(objects: Objects, place: StagePlace, name: str) -> Record | None:
    """The identity of that name: the edition's own, or another that has added to it."""
    founder = read_record(objects, place)
    if founder is None or not name or founder.effective.name == name:
        return founder
    return read_record(objects, place, name) or founder


@dataclass(frozen=True, slots=True)
class Home:
    """Where a worker writes a stage's rows; with reasons, if that is not where it was sent."""

    edition: str
    why: tuple[str, ...] = ()
    recorded: bool = False  # what the worker holds stands beside the rows


def find_home(
    objects: Objects, node: Node, found: Effective, upstream: Mapping[str, str], terms: Terms
) -> Callable[[str], Home]:
    """Where what a worker holds writes a node's rows, by the edition that its driver knows.

    Args:
        objects: the store.
        node: whose rows.
        found: what the worker holds.
        upstream: the edition of each key that the unit reads.
        terms: of the run.
    """

    def home(wanted: str) -> Home:
        words: tuple[str, ...] = ()
        record = _record_at(objects, node, wanted) if wanted != ANOTHER else None
        if record is not None and dict(record.upstream) == dict(upstream):
            words = differences(record, found, terms.strict)
            if terms.accept or not words:
                return Home(wanted, recorded=record.effective.name == found.name)
        mine, recorded = _own_edition(objects, node, found, upstream, terms)
        if wanted in ("", mine):
            return Home(mine, recorded=recorded)
        return Home(mine, words or (UNSEEN,), recorded)

    return home


UNSEEN = "what makes rows is another than was seen before a worker started"


def _record_at(objects: Objects, node: Node, edition: str) -> Record | None:
    place = StagePlace(node.stage, node.key, edition)
    return read_record(objects, place) if edition else None


def _own_edition(
    objects: Objects, node: Node, found: Effective, upstream: Mapping[str, str], terms: Terms
) -> tuple[str, bool]:
    """The last edition that the same identity made, or the one that it begins.

    And whether it stands beside the rows of that.
    """
    fitting = []
    for name in filter(is_edition, names_of_editions(objects, node.stage, node.key)):
        record = _record_at(objects, node, name)
        if record is None or dict(record.upstream) != dict(upstream):
            continue
        if not differences(record, found, terms.strict):
            fitting.append((record.written, name, record.effective.name == found.name))
    if fitting:
        return max(fitting)[1:]
    return name_edition(found, upstream, terms.strict), False


def edition_names(objects: Objects, stage: str, key: str) -> list[str]:
    """Every edition under a key."""
    return [n for n in objects.names(StagePlace(stage, key).key_folder) if is_edition(n)]


def claim(
    objects: Objects, plan: Plan, group: str, terms: Terms, mine: Mapping[str, Effective]
) -> None:
    """Say what this worker is. The first of a group under a driver is what all of it must be.

    Raises:
        IdentityError: this one is another.
    """
    if not terms.driver:
        return
    path = RunPlace(plan.run_id).identity_claim(terms.driver, fingerprint(group))
    said = {label: replace(e, passport={}, environment={}) for label, e in mine.items()}
    if objects.create(path, encode(said)):
        return
    first = decode(dict[str, Effective], objects.read(path), f"{path}: not an identity")
    for label, effective in mine.items():
        if label in first:
            words = differences(Record(first[label]), effective, terms.strict)
            if words:
                raise IdentityError(
                    f"{label}: this machine holds another than the first worker of this run: "
                    f"{'; '.join(words)}. Make them alike, or keep this machine out"
                )


class Chooser:
    """Chooses editions for a plan, upstream first."""

    def __init__(
        self, objects: Objects, plan: Plan, terms: Terms, keys: Iterable[str] = ()
    ) -> None:
        """Lists what there is, of all nodes or of some keys."""
        self.objects, self.plan, self.terms = objects, plan, terms
        nodes = [plan.nodes[key] for key in tuple(keys) or plan.nodes]
        named = in_threads(lambda n: edition_names(objects, n.stage, n.key), nodes)
        self._names = dict(zip((n.key for n in nodes), named, strict=True))
        self._records: dict[tuple[str, str], Record] = {}
        self._noted: dict[str, str] | None = None  # what the run's folder says

    def settle(self, pinned: Mapping[str, str], look: bool) -> Chosen:
        """The edition of each node.

        Args:
            pinned: editions that are known, by key.
            look: hold what can be seen here against what is recorded.

        Raises:
            CorruptError: a recorded identity cannot be read.
        """
        self._read_records(key for key in self.plan.nodes if key not in pinned)
        seen = self._look(pinned) if look else {}
        editions: dict[str, str] = {}
        changed: dict[str, tuple[str, ...]] = {}
        for key, node in self.plan.nodes.items():
            upstream = {k: editions[k] for k in node.upstream}
            editions[key] = pinned.get(key) or self._choose(key, upstream, seen.get(key, {}))
            if editions[key] == ANOTHER and (last := self._last(key, self._names[key])):
                words = changes(self._records[key, last].effective.parts, seen.get(key, {}), True)
                changed |= {key: words} if words else {}
        return Chosen(editions, changed)

    def choose(self, key: str, upstream: Mapping[str, str]) -> str:
        """The edition of one node by what there is now; empty or `ANOTHER` where none fits."""
        self._read_records((key,))
        seen = seen_of(self.plan, self.plan.nodes[key]) if self._names[key] else {}
        return self._choose(key, upstream, seen)

    def _choose(self, key: str, upstream: Mapping[str, str], seen: Mapping[str, str]) -> str:
        same = [n for n in self._names[key] if self._is_same(key, n, seen)]
        fitting = [n for n in same if dict(self._records[key, n].upstream) == dict(upstream)]
        if fitting and (noted := self._noted_of(key)) in fitting:
            return noted
        if fitting or not self._names[key]:
            return self._last(key, fitting)
        if same and all(map(is_edition, upstream.values())):
            # The same over other inputs: its edition has a name before it is begun.
            last = self._records[key, self._last(key, same)].effective
            return name_edition(last, upstream, self.terms.strict)
        return ANOTHER

    def _noted_of(self, key: str) -> str:
        if self._noted is None:
            self._noted = read_editions(self.objects, self.plan.run_id)
        return self._noted.get(key, "")

    def _is_same(self, key: str, name: str, seen: Mapping[str, str]) -> bool:
        """Whether an edition may be of what is here now."""
        record = self._records.get((key, name))
        if record is None:
            return False
        return self.terms.accept or not changes(record.effective.parts, seen, partly=True)

    def _last(self, key: str, names: Sequence[str]) -> str:
        known = [n for n in names if (key, n) in self._records]
        return max(known, key=lambda n: (self._records[key, n].written, n), default="")

    def _read_records(self, keys: Iterable[str]) -> None:
        wanted = [(k, n) for k in keys for n in self._names[k] if (k, n) not in self._records]

        def read(place: tuple[str, str]) -> Record | None:
            stage = self.plan.nodes[place[0]].stage
            return read_record(self.objects, StagePlace(stage, *place))

        found = dict(zip(wanted, in_threads(read, wanted), strict=True))
        self._records |= {place: record for place, record in found.items() if record is not None}

    def _look(self, pinned: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """What can be seen, of nodes that have rows; each recipe once."""
        nodes = {k: n for k, n in self.plan.nodes.items() if self._names[k] and k not in pinned}
        by_place = {(n.group, n.label): n for n in nodes.values()}
        looked = in_threads(partial(seen_of, self.plan), by_place.values())
        seen = dict(zip(by_place, looked, strict=True))
        return {k: seen[n.group, n.label] for k, n in nodes.items()}


def read_editions(objects: Objects, run_id: str) -> dict[str, str]:
    """The editions that a run has noted, by key; empty before it did."""
    path = RunPlace(run_id).editions
    try:
        return decode(dict[str, str], objects.read(path), f"{path}: not a list of editions")
    except FileNotFoundError:
        return {}


def note_editions(objects: Objects, run_id: str, editions: Mapping[str, str]) -> None:
    """Leave in the run's folder which editions it reads and writes."""
    noted = {key: name for key, name in editions.items() if is_edition(name)}
    text = json.dumps(noted, indent=1, sort_keys=True)
    objects.replace(RunPlace(run_id).editions, seal_json(text.encode()))
