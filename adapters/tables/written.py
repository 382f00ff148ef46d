"""How a table of somebody's is written: what parts its cells, its encoding, where its rows lie."""

import gzip
from collections.abc import Collection
from contextlib import nullcontext
from typing import BinaryIO, cast

from medgen.adapters.sources.folder import Folder
from medgen.adapters.tables.json_rows import top_members
from medgen.adapters.tables.settings import Files
from medgen.engine.errors import BenchmarkError

_LOOKED_AT = 2**20  # bytes
_USUAL = {".csv": ",", ".tsv": "\t"}
_DELIMITERS = ";\t|,"
_PARTED = ("train", "training", "test", "testing", "val", "valid", "validation", "dev")


def files_of(folder: Folder, file: str, known: Collection[str]) -> tuple[Files, list[str]]:
    """The `files` of a table, and what of that a person should look at.

    Args:
        folder: where it lies.
        file: its name; text may be compressed (`.gz`).
        known: names of columns, small and with `_`, by which an object of columns is told.

    Raises:
        FaultyContent: it cannot be opened, or is no JSON.
        BenchmarkError: it is JSON of several tables.
    """
    plain_name = file[:-3] if file.lower().endswith(".gz") else file
    ending = f".{plain_name.rpartition('.')[2].lower()}"
    if ending not in (*_USUAL, ".json"):
        return Files(glob=file), []
    with folder.open(file) as opened, _content_of(file, plain_name, opened) as text:
        if ending == ".json":
            return _of_json(file, text, known)
        return _of_lines(file, text.read(_LOOKED_AT), _USUAL[ending])


def plain(files: Files) -> object:
    """The short form that a preset has of `files`."""
    long: dict[str, object] = {"glob": files.glob}
    for name in ("delimiter", "skip", "rows"):
        long |= {name: value} if (value := getattr(files, name)) else {}
    long |= {"encoding": files.encoding} if files.encoding != "utf-8" else {}
    long |= {"as": files.form} if files.form != "rows" else {}
    return long if len(long) > 1 else files.glob


def _content_of(file: str, plain_name: str, opened: BinaryIO) -> "nullcontext[BinaryIO] | BinaryIO":
    return nullcontext(opened) if file == plain_name else cast(BinaryIO, gzip.open(opened, "rb"))


def _of_lines(file: str, begins: bytes, usual: str) -> tuple[Files, list[str]]:
    """A delimiter, an encoding, lines above the header, where they are not the usual ones.

    Windows' encoding stands for all that is no UTF-8: which of its relatives it is, nobody can say.
    """
    first, _, rest = begins.partition(b"\n")
    told = first.decode("latin-1").removeprefix("\xef\xbb\xbf").strip().strip('"')
    skip = int(told.lower().startswith("sep=") and len(told) == len("sep=") + 1)  # Excel's
    head = (rest.split(b"\n", 1)[0] if skip else first).decode("latin-1")
    delimiter = told[-1] if skip else "" if usual in head else max(_DELIMITERS, key=head.count)
    encoding = "utf-8" if _is_utf8(begins) else _windows(begins)
    said = f"read as {encoding}: are letters with marks the right ones?"
    parted = delimiter if delimiter and delimiter in head else ""
    files = Files(glob=file, delimiter=parted, encoding=encoding, skip=skip)
    return files, [said] if encoding != "utf-8" else []


def _of_json(file: str, text: BinaryIO, known: Collection[str]) -> tuple[Files, list[str]]:
    """Where the rows of a document lie that is neither a list nor one row."""
    members = top_members(text)
    named = [name for name in members if name.strip().casefold().replace(" ", "_") in known]
    if not members or "rows" in members or any(members[name] not in "[{" for name in named):
        return Files(glob=file), []
    if named:
        return Files(glob=file, form="columns"), []
    lists = [name for name, sign in members.items() if sign == "["]
    if len(lists) == 1:
        return Files(glob=file, rows=lists[0]), [f"rows are those of {lists[0]!r}: `rows`"]
    if lists and all(name.casefold() in _PARTED for name in lists):
        said = f"rows are those of {', '.join(lists)}: `where: {{_key: {lists[-1]}}}` keeps some"
        return Files(glob=file, rows="*"), [said]
    if not lists and all(sign == "{" for sign in members.values()):
        return Files(glob=file, rows="*"), []
    listed = ", ".join([*members][:8])
    raise BenchmarkError(
        f"{file} is an object of {listed}, and which of them are rows cannot be told; say it in a "
        f"preset: `files: {{glob: {file}, rows: {lists[0] if lists else '*'}}}`"
    )


def _is_utf8(begins: bytes) -> bool:
    # What is looked at may end within a letter; of UTF-16 the reader says what to do.
    whole = begins.rpartition(b"\n")[0] if len(begins) == _LOOKED_AT else begins
    if whole.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    try:
        whole.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _windows(begins: bytes) -> str:
    try:
        begins.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"
