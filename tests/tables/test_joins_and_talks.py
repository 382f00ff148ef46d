"""Second tables and conversations that are not as the preset says, or end otherwise."""

import csv
from pathlib import Path
from typing import Any

import pytest
from tables.laying import lay
from tables.reading import read, write

from medgen.adapters.tables.mapping import read_mapping
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Sample
from medgen.engine.errors import ConfigError


def faults(found: list[Sample | Problem]) -> list[str]:
    return [f"{p.file}:{p.row}: {p.what}" for p in found if isinstance(p, Problem)]


def second(root: Path, *rows: list[object]) -> None:
    with (root / "more.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["case", "organ"], *rows])


JOIN = {"files": "more.csv", "by": "n", "key": "case"}


def test_a_key_that_is_called_otherwise_is_told_with_the_columns_there_are(tmp_path: Path) -> None:
    second(tmp_path, [1, "lung"])
    found = read(write(tmp_path, {"n": 1}), {}, join={**JOIN, "key": "id"})
    said = "more.csv:2: there is no key 'id', but case, organ; `by` and `key` name it"
    assert said in faults(found)
    found = read(write(tmp_path, {"n": 1}), {}, join={**JOIN, "by": "m"})
    assert any("`join`: there is no key 'm', but q, a, n;" in what for what in faults(found))


def test_a_key_that_stands_twice_is_a_fault_unless_its_rows_are_collected(tmp_path: Path) -> None:
    second(tmp_path, [1, "lung"], [1, "heart"])
    found = read(write(tmp_path, {"n": 1}), {"context": "organ"}, join=JOIN)
    assert faults(found) == [
        "more.csv:3: key 'case' '1' stands twice in the joined table; `collect` takes several"
    ]
    context = {"of": "organ", "join": "+"}
    (one,) = read(tmp_path, {"context": context}, join={**JOIN, "collect": ["organ"]})
    assert isinstance(one, Sample)
    assert one.context == "lung+heart"


def test_rows_without_a_partner_are_told_dropped_or_kept(tmp_path: Path) -> None:
    second(tmp_path, [1, "lung"], [3, "liver"])
    write(tmp_path, {"n": 1}, {"n": 2})
    sample = {"context": {"of": "organ", "default": "none"}}
    assert faults(read(tmp_path, sample, join=JOIN)) == [
        "t.jsonl:2: `join`: key 'n' '2' has no row in the joined table; `unmatched: drop` leaves "
        "such rows out, `keep` keeps them",
        "more.csv:None: key 'n' '3' of the joined table has no row",
    ]
    for unmatched, contexts in (("drop", ["lung"]), ("keep", ["lung", "none"])):
        found = read(tmp_path, sample, join={**JOIN, "unmatched": unmatched})
        assert [s.context for s in found if isinstance(s, Sample)] == contexts
        assert faults(found) == []


def test_a_key_that_is_a_list_is_a_fault_of_its_row(tmp_path: Path) -> None:
    second(tmp_path, [1, "lung"])
    write(tmp_path, {"n": [1]})
    for name, more in (("join", {"join": JOIN}), ("unique", {"unique": "n"})):
        assert any(f"`{name}`: n is a list" in what for what in faults(read(tmp_path, {}, **more)))


def talk(root: Path, messages: list[Any], **how: Any) -> Sample | Problem:
    sample = {"instruction": "_question", "answer": {"text": {"of": "_answer", "default": "own"}}}
    (found,) = read(write(root, {"m": messages}), sample, conversation={"of": "m", **how})
    return found


@pytest.mark.parametrize(
    ("roles", "question", "answer", "turns"),
    [
        ("ua", "0", "1", []),
        ("suauu", "3\n4", "own", ["1", "2"]),
        ("uaua", "2", "3", ["0", "1"]),
        ("u", "0", "own", []),
    ],
)
def test_the_last_word_of_a_user_is_what_is_asked(
    tmp_path: Path, roles: str, question: str, answer: str, turns: list[str]
) -> None:
    names = {"u": "user", "a": "assistant", "s": "system"}
    said = [{"role": names[role], "content": [str(n)]} for n, role in enumerate(roles)]
    found = talk(tmp_path, said)
    assert isinstance(found, Sample)
    assert (found.instruction, found.reference_text) == (question, answer)
    assert [turn.text for turn in found.turns] == turns


def test_a_conversation_that_nobody_answers_has_no_questions_of_its_own(tmp_path: Path) -> None:
    found = talk(tmp_path, [{"role": "user", "content": "x"}], asks="every")
    assert isinstance(found, Problem)
    assert "'m' has no question with an answer behind it" in found.what


def test_questions_and_answers_may_stand_in_two_lists(tmp_path: Path) -> None:
    sample = {"instruction": "_question", "answer": {"text": "_answer"}}
    how = {"question": "t", "answer": "r", "asks": "every"}
    write(tmp_path, {"t": ["What?", "Where?"], "r": ["A cyst.", "Left."]})
    first, second_ = read(tmp_path, sample, conversation=how)
    assert isinstance(first, Sample)
    assert isinstance(second_, Sample)
    assert (first.turns, first.reference_text) == ((), "A cyst.")
    assert [turn.text for turn in second_.turns] == ["What?", "A cyst."]
    (found,) = faults(read(write(tmp_path, {"t": ["a"], "r": []}), sample, conversation=how))
    assert "'r' is no list of 1 to" in found
    (found,) = faults(
        read(write(tmp_path, {"t": ["a"], "r": ["b", "c"]}), sample, conversation=how)
    )
    assert "1 of 't' and 2 of 'r'" in found


def test_marks_of_pictures_do_not_stay_in_what_was_said_earlier(tmp_path: Path) -> None:
    lay(tmp_path, "a.png")
    said = ["<image>\nIs it ill?", "Yes.", "Where?", "Left."]
    sample = {
        "instruction": "_question",
        "answer": {"text": "_answer"},
        "images": [{"is": "a.png", "place": "<image>"}],
    }
    (found,) = read(write(tmp_path, {"m": said}), sample, conversation={"of": "m"})
    assert isinstance(found, Sample)
    assert [turn.text for turn in found.turns] == ["Is it ill?", "Yes."]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"group": {"by": "n"}, "conversation": {"of": "m"}}, "`group` needs `collect`"),
        ({"conversation": {"role": "r"}}, "needs `of`, or columns as `role` and `text`"),
        ({"conversation": {"question": "r"}}, "or `question` and `answer`"),
    ],
)
def test_a_conversation_says_where_its_messages_are(more: dict[str, Any], said: str) -> None:
    sample = {"instruction": "q", "task": "t", "answer": {"text": "a"}}
    with pytest.raises(ConfigError, match=said):
        read_mapping({"files": "t.jsonl", "sample": sample, **more}, "t")


def test_a_pattern_of_folders_is_told_from_a_picture_that_is_not_there(tmp_path: Path) -> None:
    lay(tmp_path, "x/p1/a.png")
    write(tmp_path, {})
    for pattern, said in (
        ("x/*/a.png", "`*` and `?` are read in the last part of a path only"),
        ("x/p1/b*.png", "no picture fits 'x/p1/b*.png'; x/p1 holds a.png"),
    ):
        assert any(said in what for what in faults(read(tmp_path, {"images": [{"is": pattern}]})))
