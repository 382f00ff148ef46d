"""Every bad input of the corpus ends as it must, with a sentence that names what is wrong."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hostile.corpus import _KINDS, Entry, entries
from hostile.more_corpus import outside_tables
from hostile.outside_tables import lay, spoilt
from hostile.targets import SAMPLE
from sources.outside import RECORDS, write_view

from medgen.adapters.http.endpoint import Reply
from medgen.adapters.models.openai_chat import OpenAIChat
from medgen.adapters.sources.folder import FaultyContent, safe_path, strict_json
from medgen.adapters.sources.layouts import open_source
from medgen.conf.loading import load
from medgen.conf.reading import ConfError
from medgen.engine.benchmark.importing import validate
from medgen.engine.benchmark.source import Problem
from medgen.engine.chat.answering import AnswerStyle, answer
from medgen.engine.data import FORMS
from medgen.engine.errors import AdapterError, ImageError, MedgenError
from medgen.engine.images import open_image
from medgen.engine.judging.prompts import Rubric
from medgen.engine.judging.protocols import PROTOCOLS
from medgen.engine.judging.replies import read_reply


def each(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", entries(kind), ids=lambda entry: entry.name)


def test_the_corpus_is_large() -> None:
    assert sum(len(entries(kind)) for kind in _KINDS) >= 150


def taken(entry: Entry, refusal: type[Exception], call: Any) -> None:
    """The call refuses the entry with its words, or takes it when it must."""
    if entry.said is None:
        call(entry.content)
        return
    with pytest.raises(refusal) as refused:
        call(entry.content)
    assert re.search(entry.said, str(refused.value)), str(refused.value)


@each("pictures")
def test_pictures(entry: Entry) -> None:
    taken(entry, ImageError, open_image)


@each("paths")
def test_paths(entry: Entry) -> None:
    taken(entry, FaultyContent, safe_path)


@each("lines")
def test_lines(entry: Entry) -> None:
    taken(entry, FaultyContent, strict_json)


@each("records")
def test_records(entry: Entry, tmp_path: Path) -> None:
    records = json.loads(json.dumps(RECORDS))
    for name, value in entry.content.items():
        records[0].pop(name, None)
        if value is not None:
            records[0][name] = value
    write_view(tmp_path, records)
    problems = [p for p in validate(open_source(str(tmp_path))) if p.row is not None]
    if entry.said is None:
        assert not problems
        return
    assert {p.row for p in problems} == {1}
    assert re.search(entry.said, problems[0].what), problems[0].what


@each("tables")
def test_tables(entry: Entry, tmp_path: Path) -> None:
    folder = tmp_path / "parquet" / "image_editing"
    folder.mkdir(parents=True)
    (folder / "test-00000-of-00001.parquet").write_bytes(entry.content)
    problems = [str(p) for p in validate(open_source(str(tmp_path), "hub"))]
    if entry.said is None:
        assert not problems
    else:
        assert any(re.search(entry.said, p) for p in problems), problems


@pytest.mark.parametrize(
    ("kind", "entry"), [*outside_tables()], ids=lambda e: getattr(e, "name", e)
)
def test_outside_tables(kind: str, entry: Entry, tmp_path: Path) -> None:
    source = lay(kind, tmp_path)
    (tmp_path / spoilt(kind)).write_bytes(entry.content)
    problems = [str(item) for item in source if isinstance(item, Problem)]
    if entry.said is None:
        assert not problems
    else:
        assert any(re.search(entry.said, problem) for problem in problems), problems


@each("configurations")
def test_configurations(entry: Entry, tmp_path: Path) -> None:
    content = entry.content if isinstance(entry.content, bytes) else entry.content.encode()
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    taken(entry, (ConfError, MedgenError), lambda _: load(str(path), ["store=x"]))  # type: ignore[arg-type]


@each("judge replies")
def test_judge_replies(entry: Entry) -> None:
    for protocol in PROTOCOLS.values():
        for form in FORMS:
            reading = read_reply(entry.content, Rubric(protocol), form)
            assert re.fullmatch(entry.said or "", reading.status)
            assert reading.reason
            assert not reading.scores


@each("endpoint replies")
def test_endpoint_replies(entry: Entry) -> None:
    endpoint = OpenAIChat("m", endpoint={"base_url": "http://127.0.0.1:1/v1"})
    read = partial(endpoint._read, Reply(200, entry.content, {}))
    endpoint.close()
    if entry.said == "another model":
        with pytest.raises(AdapterError, match="of model"):
            read()
        return
    row = answer(SAMPLE, read(), AnswerStyle())
    assert (row.status != "ok") is (entry.said != "ok")
    assert bool(row.reason) is (entry.said != "ok")
