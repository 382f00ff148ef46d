"""What a preset may say: the mapping from a table's columns to the fields of a sample.

Everything here is plain data; docs/benchmarks.md explains each key with examples. A value of a
sample is a column (`question`, `LABEL.Modality[0]`), a text with columns in braces
(`slake-{qid}`), or a `Cell`.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from medgen.engine.data import Asks
from medgen.engine.settings import Settings

Plain = str | int | float
Role = Literal["input", "reference", "region", "context"]
# Corners; corner and size; centre and size; `relative`: in shares of width and height.
BoxForm = Literal[
    "xyxy", "yxyx", "xywh", "cxcywh",
    "relative", "relative-yxyx", "relative-xywh", "relative-cxcywh",
]  # fmt: skip
_Count = Annotated[int, msgspec.Meta(ge=1)]


class Cell(Settings, frozen=True, kw_only=True):
    """A value: a constant (`is`), or what is made of a column or text (`of`), in this order."""

    constant: Plain | list[Plain] | None = msgspec.field(default=None, name="is")
    of: str = ""
    default: Plain | list[Plain] | None = None  # where the cell is empty or not there
    parse: str = ""  # json | literal | literal-or-text | lines | split:<sign>
    strip: bool = False
    cut: str = ""  # what this pattern matches is removed
    replace: dict[str, str] = msgspec.field(default_factory=dict)  # pattern to text
    match: str = ""  # its first group stays
    map: dict[str, Plain] = msgspec.field(default_factory=dict)
    keys_with: Plain | None = None  # the keys of an object that have this value
    join: str | None = None  # puts a list together


Value = str | Cell


class Picture(Cell, frozen=True, kw_only=True):
    """Pictures of an item. `of` may hold a range: `image_{1..7}`."""

    form: Literal["", "base64", "bytes", "volume"] = msgspec.field(default="", name="as")
    archive: str = msgspec.field(default="", name="in")  # zip or tar; a pattern joins its parts
    below: str = ""  # folder, in the source or in the archive
    role: Role = "input"
    labels: Value | list[str] = ""  # one for each picture, shown before it
    place: str = ""  # its mark in the instruction; {n} is the number of the picture
    optional: bool = False  # an item may have none
    # What of a mask counts as white: `any` that is not 0, levels, or colours (#ff0000).
    white: Plain | list[Plain] | Cell | None = None


class Choices(Cell, frozen=True, kw_only=True):
    """The options. Exactly one of `columns`, `of`, `is` and `answer` with `distractors`."""

    columns: list[str] = msgspec.field(default_factory=list)
    form: Literal["list", "letters", "inline", "keys"] = msgspec.field(default="list", name="as")
    names: Value = ""  # what an answer calls them, one for each of a list
    answer: Value = ""
    distractors: Value = ""
    at: Value = ""  # letter of the answer; without it, options are shuffled by the item's id
    others: Value = ""  # letters of the distractors


class Answer(Settings, frozen=True, kw_only=True):
    """What the item expects; one of these."""

    letter: Value = ""
    letters: Value = ""
    index: Value = ""
    base: Literal[0, 1] = 0  # of `index`
    text: Value = ""
    texts: Value = ""  # the first is the answer, the others are aliases; for `choices`, all right
    aliases: Value = ""  # further texts that are right
    best: Value = ""  # a number for every option; the highest is right
    flags: Value | list[str] = ""  # 1 or another value for every option: a list, or columns
    none: str = ""  # the option that is right when the answer is empty, or no flag is 1
    sections: dict[str, Value] = msgspec.field(default_factory=dict)
    number: Value = ""
    unit: Value = ""
    boxes: Value = ""
    form: BoxForm = "xyxy"
    scale: Annotated[float, msgspec.Meta(gt=0)] = 1.0  # of shares: 1000 where they are thousandths
    image: Value = ""  # 0-based number of the input picture that the boxes lie in; else the first


class Bins(Cell, frozen=True, kw_only=True):
    """A group by number: `bins: [0, 18, 40]` makes 0-17, 18-39 and 40+."""

    bins: list[float] = msgspec.field(default_factory=list)


class Fields(Settings, frozen=True, kw_only=True):
    """The fields of a sample."""

    id: Value | None = None
    instruction: Value | None = None
    context: Value | None = None
    language: Value | None = None
    images: list[Picture] | None = None
    modality: Value | None = None
    asks: Asks | None = None
    task: Value | None = None  # a text is the task itself, not a column
    subtask: Value | None = None
    choices: Choices | None = None
    answer: Answer | None = None
    rubric: Value | None = None
    bundle: Value | None = None
    source: Value | None = None
    groups: dict[str, str | Bins] | None = None


class Variant(Fields, frozen=True, kw_only=True):
    """What differs for rows in which the columns of `when` have these values."""

    when: dict[str, Plain | list[Plain]] = msgspec.field(default_factory=dict)


class SampleMap(Fields, frozen=True, kw_only=True):
    """The fields, and variants of them: the first whose `when` holds goes over the fields."""

    variants: list[Variant] = msgspec.field(default_factory=list)


class Files(Settings, frozen=True, kw_only=True):
    """Which files hold the rows, and how they hold them."""

    glob: str | list[str]
    archive: str = msgspec.field(default="", name="in")  # zip or tar that holds them; a pattern
    rows: str = ""  # path to the rows of a JSON file: samples, *, *.test
    # `columns` of JSON; `text`: a file is one row, with all that it says in `_text`.
    form: Literal["rows", "columns", "text"] = msgspec.field(default="rows", name="as")
    delimiter: str = ""
    encoding: str = "utf-8"  # of lines with a delimiter, and of `text`
    # Lines above the header, of lines with a delimiter.
    skip: Annotated[int, msgspec.Meta(ge=0)] = 0
    # Of a file of lines that has none, and of rows of JSON that are lists.
    header: list[str] = msgspec.field(default_factory=list)


class Group(Settings, frozen=True, kw_only=True):
    """Rows with one value of `by` become one item: the last asks, the others demonstrate.

    With `collect` they become one row instead: these columns are lists, the others are the first's.
    """

    by: str
    order: str = ""
    asks: Literal["last"] = "last"
    before: Literal["turns"] = "turns"
    collect: list[str] = msgspec.field(default_factory=list)


class Conversation(Settings, frozen=True, kw_only=True):
    """A list of messages in one row: the last question is asked, earlier ones demonstrate.

    Messages have a role and a text, or both a question and an answer, or are texts in turns.
    """

    of: str = ""  # empty: `role` and `text` are columns, lists that stand side by side
    role: str = ""  # key of the role; empty: `role` or `from`
    text: str = ""  # key of the words; empty: `content`, `value` or `text`
    user: list[str] = msgspec.field(default_factory=lambda: ["user", "human", "question"])
    assistant: list[str] = msgspec.field(
        default_factory=lambda: ["assistant", "gpt", "bot", "model", "answer"]
    )
    question: str = ""  # keys of a message that holds both
    answer: str = ""
    asks: Literal["last", "every"] = "last"


class Join(Settings, frozen=True, kw_only=True):
    """Columns of a second table with the same key."""

    files: str | list[str] | Files
    by: str
    key: str = ""  # its column in the second table, where that is called otherwise
    # Rows of either table without a partner; `keep` drops those of the second table only.
    unmatched: Literal["fault", "drop", "keep"] = "fault"
    collect: list[str] = msgspec.field(default_factory=list)  # lists, of all rows with that key


class Expected(Settings, frozen=True, kw_only=True):
    """Counts that must come out."""

    rows: _Count | None = None
    items: _Count | None = None
    images: _Count | None = None


class RecordsMapping(Settings, frozen=True, kw_only=True):
    """A preset without its place: all that decides what its samples are."""

    files: str | list[str] | Files
    sample: SampleMap
    where: dict[str, Plain | list[Plain]] = msgspec.field(default_factory=dict)
    unless: dict[str, Plain | list[Plain]] = msgspec.field(default_factory=dict)
    unique: str = ""
    each: str | list[str | dict[str, Plain | Cell]] | dict[str, Value] = ""
    group: Group | None = None
    conversation: Conversation | None = None
    join: Join | list[Join] | None = None
    expect: _Count | Expected | None = None
    tasks: list[str] = msgspec.field(default_factory=list)  # those that a mapped `task` may give
    most_bytes_a_cell: _Count = 64 * 2**20
    most_pixels: _Count = 64 * 2**20
    most_images: _Count = 64
    shrink: _Count | None = None  # longest side of a picture that is above `most_pixels`


def joins_of(mapping: RecordsMapping) -> list[Join]:
    """The further tables, in order."""
    given = mapping.join or []
    return given if isinstance(given, list) else [given]


def alternatives(value: Plain | list[Plain]) -> tuple[Plain, ...]:
    """One value or several as several."""
    return tuple(value) if isinstance(value, list) else (value,)


def as_files(given: str | list[str] | Files) -> Files:
    """The short forms of `files` in the long one."""
    return given if isinstance(given, Files) else Files(glob=given)


def conditions(given: Mapping[str, Plain | list[Plain]]) -> dict[str, tuple[Plain, ...]]:
    """`when` or `where`, every side a tuple."""
    return {column: alternatives(value) for column, value in given.items()}
