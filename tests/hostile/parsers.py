"""Every parser of outside bytes, found through the registry, and what is fed to it.

A layout, a hosted adapter or a protocol that somebody adds is in the table by itself; where it
needs something to be fed (a sound folder, an adapter's way to be made), a test says so.
"""

import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from hostile.corpus import _KINDS, entries
from hostile.costly import costly
from hostile.more_corpus import outside_tables
from hostile.outside_tables import TABLES, lay, spoilt
from hostile.sound import INPUTS
from hostile.targets import TARGETS, Target
from models.loopback import Answer, serve
from models.test_server_table import Kind, model, sample
from sources import outside

from medgen.adapters.controls.replay import Replay
from medgen.adapters.sources.layouts import layouts, open_source
from medgen.engine import registry
from medgen.engine.data import Prediction, Request
from medgen.engine.decoding.pool import examine
from medgen.engine.errors import AdapterError, BenchmarkError, ImageError

# Of each layout a sound folder, whose files are replaced by bad ones one after another.
FOLDERS = {
    "view": lambda folder: outside.write_view(folder, outside.RECORDS),
    "directory": lambda folder: outside.write_directory(folder, outside.RECORDS),
    "hub": outside.write_hub,
}
# Of each hosted adapter the shape of its replies.
ADAPTERS: Mapping[str, Kind] = {
    "openai": "chat",
    "unified-chat": "unified",
    "openai-images": "images",
}


def hosted() -> set[str]:
    """Names of the components that read replies of an endpoint, by their settings."""
    names = set()
    for name, component in registry.components("systems").items():
        if component.settings:
            fields = getattr(registry.load(component.settings), "__struct_fields__", ())
            if "endpoint" in fields:
                names.add(name)
    return names


@contextmanager
def parsers() -> Iterator[Mapping[str, Target]]:
    """All of them by name; servers and folders end with the block."""
    root = Path(tempfile.mkdtemp(prefix="medgen-parsers-"))
    found: dict[str, Target] = dict(TARGETS)
    found["decoder"] = _decode
    found["replay"] = lambda data: _replay(root, data)
    for name in layouts():
        place = root / name
        place.mkdir()
        FOLDERS[name](place)
        found[f"layout {name}"] = lambda data, name=name, place=place: _layout(name, place, data)  # type: ignore[misc]
    for kind in TABLES:
        found[f"table {kind}"] = lambda data, kind=kind: _outside_table(kind, root / kind, data)  # type: ignore[misc]
    body = [b""]
    with ExitStack() as opened:
        opened.callback(shutil.rmtree, root)
        server = opened.enter_context(serve(lambda _: Answer(body[0])))
        for name, kind in ADAPTERS.items():
            made = opened.enter_context(model(kind, server))

            def ask(data: bytes, made: object = made, kind: Kind = kind) -> None:
                body[0] = data
                _ask(made, kind)

            found[f"replies of {name}"] = ask
        yield found


def inputs() -> Iterator[tuple[str, bytes]]:
    """The corpus, whatever each entry was made for: (name, bytes)."""
    for kind in _KINDS:
        for entry in entries(kind):
            content = entry.content
            if isinstance(content, str):
                content = content.encode("utf-8", "surrogatepass")
            if isinstance(content, bytes):
                yield entry.name, content
    for kind, entry in outside_tables():
        yield f"{entry.name} ({kind})", entry.content
    yield from costly()


def mutated(seed: int, corpus: list[bytes]) -> bytes:
    """A wounded input: pieces of two of the corpus, and a few bytes changed."""
    draw = random.Random(seed)
    one, other = (bytearray(draw.choice(corpus)) for _ in range(2))
    at, to = draw.randint(0, len(one)), draw.randint(0, len(other))
    whole = one[:at] + other[to : to + draw.choice((0, 1, 4, 64, 4096))] + one[at:]
    for _ in range(draw.choice((0, 1, 2, 8))):
        if whole:
            place = draw.randrange(len(whole))
            whole[place] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
    return bytes(whole[: draw.randint(0, len(whole))] if draw.random() < 0.1 else whole)


def seeds() -> list[bytes]:
    """What a fuzzer begins with: sound inputs of every parser, and the small ones of the corpus."""
    return [
        *(data for listed in INPUTS.values() for data in listed),
        *(data for _, data in inputs() if len(data) <= 20_000),
    ]


def _decode(data: bytes) -> None:
    with suppress(ImageError):
        assert examine(data).size


def _layout(name: str, place: Path, data: bytes) -> None:
    for file in sorted(f for f in place.rglob("*") if f.is_file()):
        sound = file.read_bytes()
        file.write_bytes(data)
        try:
            with suppress(BenchmarkError):
                for found in open_source(str(place), name):
                    str(found).encode("utf-8", "surrogatepass")
        finally:
            file.write_bytes(sound)


def _outside_table(kind: str, place: Path, data: bytes) -> None:
    source = lay(kind, place)
    (place / spoilt(kind)).write_bytes(data)
    for found in source:  # whatever it raises is a defect
        str(found).encode("utf-8", "surrogatepass")
    source.describe()


def _replay(root: Path, data: bytes) -> None:
    file = root / "predictions.jsonl"
    file.write_bytes(data)
    with suppress(AdapterError):
        (row,) = Replay(str(file)).predict([Request(sample("chat"))])
        assert row.status == "ok" or row.reason


def _ask(made: object, kind: Kind) -> None:
    with suppress(AdapterError):  # of another model
        (row,) = made.predict([Request(sample(kind))])  # type: ignore[attr-defined]
        assert isinstance(row, Prediction)
        assert row.status == "ok" or row.reason
