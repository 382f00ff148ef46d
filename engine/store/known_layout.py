"""Which names `engine/store/layout.py` gives to objects of a run, and which carry a checksum."""

import re

from medgen.engine.store.layout import (
    BENCHMARKS,
    PARTS,
    QUARANTINE,
    RUNS,
    SAMPLES,
    STAGES,
    is_identity,
)

_IDENTITY = r"identity(?:-\w+)?\.json"
_NAME = r"[0-9a-z]+(?:-\d+of\d+)?(?:-r\d+)?"
_SHARD = rf"(?:shard-{_NAME}\.arrow|_owed-{_NAME})"
_PART = r"\d{5,}-\d{5,}\.arrow"
_ORDER = r"\d{6,}\.json"
_NOTES = (
    "plan",
    "status",
    "editions",
    "heads",
    "known",
    "tables",
    "published",
    "certainty",
    "sentinels",
)
_SEALED = [[f"{name}.json"] for name in _NOTES]
_OWN = rf"(?:{'|'.join((*_NOTES, 'cancel'))})\.json"
_BESIDE = r"(?:summary|conditions|subgroups|labels|calibration|repeats)\.parquet"
_TABLE = r"tables/\w+/(?:[^/]+/)?part-\d{5,}\.parquet"
_KNOWN = re.compile(
    "|".join(
        (
            rf"{SAMPLES}/\w+\.arrow",
            rf"{BENCHMARKS}/[^/]+/(?:manifest\.json|tables/samples\.json|{_TABLE})",
            rf"{BENCHMARKS}/[^/]+/(?:order|digests)\.arrow",
            rf"{STAGES}/\w+/\w+/stage\.json",
            rf"{STAGES}/\w+/\w+/(?:\w+/)?(?:{_IDENTITY}|{_SHARD})",
            rf"{STAGES}/\w+/\w+/(?:\w+/)?{PARTS}[\w-]+/{_PART}",
            rf"{RUNS}/[^/]+/(?:{_OWN}|config\.yaml|{_BESIDE}|{_TABLE}|report/.+)",
            rf"{RUNS}/[^/]+/(?:control/{_ORDER}|(?:identities/[^/]+|sets)/[^/]+\.json)",
            rf"{RUNS}/[^/]+/events/[^/]+\.jsonl",
            r"sentinels/[^/]+/[^/]+\.json",
            rf".+/{QUARANTINE}/.+",
        )
    ),
    re.ASCII,
)


def carries_seal(path: str) -> bool:
    """Whether an object is JSON with its own sha256 in it."""
    top, *parts = path.split("/")
    if top == RUNS:
        return parts[1:] in _SEALED or parts[1:2] in (["control"], ["sets"])
    if top == BENCHMARKS:
        return parts[1:] in (["manifest.json"], ["tables", "samples.json"])
    return top == "sentinels" or is_identity(parts[-1])


def is_written_once(path: str) -> bool:
    """Whether an object of a run's folder never changes, and carries no checksum itself."""
    _, _, *parts = path.split("/")
    return parts == ["config.yaml"] or parts[:1] == ["identities"]


def is_published(path: str) -> bool:
    """Whether an object of a run's folder is made of its rows, and can be again at any time."""
    _, _, *parts = path.split("/")
    made = ["tables.json"], ["published.json"], ["certainty.json"]
    return path.endswith(".parquet") or parts[:1] == ["report"] or parts in made


def is_owed_note(file: str) -> bool:
    """Whether a file name is that of the note that rows are owed."""
    return file.startswith("_owed-")


def is_known(path: str) -> bool:
    """Whether an object of a run, its stages or its benchmark has a name that is given here."""
    return bool(_KNOWN.fullmatch(path))
