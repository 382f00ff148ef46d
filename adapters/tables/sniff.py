"""How a table of text is written, told from its beginning: what parts its cells, its encoding."""

from medgen.adapters.sources.folder import Folder
from medgen.adapters.tables.settings import Files

_LOOKED_AT = 2**20  # bytes
_USUAL = {".csv": ",", ".tsv": "\t"}
_DELIMITERS = ";\t|,"


def files_of(folder: Folder, file: str) -> Files:
    """The `files` of a table, with a delimiter and an encoding where they are not the usual ones.

    Windows' encoding stands for all that is no UTF-8: which of its relatives it is, nobody can say.
    """
    usual = _USUAL.get(f".{file.rpartition('.')[2].lower()}", "")
    if not usual:
        return Files(glob=file)
    with folder.open(file) as opened:
        begins = opened.read(_LOOKED_AT)
    head = begins.split(b"\n", 1)[0].decode("latin-1")
    delimiter = "" if usual in head else max(_DELIMITERS, key=head.count)
    return Files(
        glob=file,
        delimiter=delimiter if delimiter and delimiter in head else "",
        encoding="utf-8" if _is_utf8(begins) else _windows(begins),
    )


def plain(files: Files) -> object:
    """The short form that a preset has of `files`."""
    long: dict[str, object] = {"glob": files.glob}
    long |= {"delimiter": files.delimiter} if files.delimiter else {}
    long |= {"encoding": files.encoding} if files.encoding != "utf-8" else {}
    return long if len(long) > 1 else files.glob


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
