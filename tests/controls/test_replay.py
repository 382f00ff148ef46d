import hashlib
import json
from pathlib import Path
from typing import Any

import fsspec
import pytest
from sources.outside import bomb, picture

from medgen.adapters.controls.replay import Replay
from medgen.engine.data import Prediction, Request, Sample
from medgen.engine.errors import AdapterError

GREEN = picture((0, 200, 0))


def _sample(name: str, kind: Any = "image+text") -> Sample:
    return Sample(name, kind, "instruction-editing", "CT", "Do it.")


def _file(folder: Path, *records: object) -> str:
    (folder / "out").mkdir(exist_ok=True)
    (folder / "out/green.png").write_bytes(GREEN)
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    (folder / "predictions.jsonl").write_text("\n".join(lines) + "\n")
    return str(folder / "predictions.jsonl")


def _one(folder: Path, kind: Any = "image+text", **fields: object) -> Prediction:
    whole = {"response": "words", "output_image": "out/green.png"} | fields
    record = {"sample_id": "a"} | {n: v for n, v in whole.items() if v is not None}
    (given,) = Replay(_file(folder, record)).predict([Request(_sample("a", kind))])
    return given


def test_text_and_picture_are_given_as_they_stand(tmp_path: Path) -> None:
    given = _one(tmp_path, raw_response='{"output_text": "words"}', category="MMGeneration")
    assert (given.status, given.text) == ("ok", "words")
    assert [(i.data, i.path) for i in given.images] == [(GREEN, "out/green.png")]
    assert given.details == {"raw_response": '{"output_text": "words"}'}


def test_order_and_ids_are_those_of_the_requests(tmp_path: Path) -> None:
    records = [{"sample_id": f"s{n}", "response": f"text {n} é"} for n in range(50)]
    replay = Replay(_file(tmp_path, *records))
    order = [7, 3, 49, 0, 7]
    given = replay.predict([Request(_sample(f"s{n}", "text")) for n in order])
    assert [p.sample_id for p in given] == [f"s{n}" for n in order]
    assert [p.text for p in given] == [f"text {n} é" for n in order]
    assert replay.predict([]) == []


def test_a_sample_that_the_file_has_not_is_missing(tmp_path: Path) -> None:
    replay = Replay(_file(tmp_path, {"sample_id": "b", "response": "x"}, "{broken"))
    (given,) = replay.predict([Request(_sample("a"))])
    assert (given.status, given.text, given.images) == ("missing", None, ())
    assert "not in predictions.jsonl" in given.reason
    assert "1 of its lines are unreadable, first line 2: not JSON" in given.reason


@pytest.mark.parametrize(
    ("marks", "status", "reason"),
    [
        ({"error": "HTTP 500"}, "model_error", "HTTP 500"),
        ({"error": {"code": 429}}, "model_error", "{'code': 429}"),
        ({"status": "error"}, "model_error", "marked as error"),
        ({"status": "failed", "reason": "quota"}, "model_error", "quota"),
        ({"status": "timeout"}, "timeout", "marked as timeout"),
        ({"status": "refused"}, "refused", "marked as refused"),
        ({"success": False}, "model_error", "marked as failed"),
        ({"status": "ok", "error": "late"}, "model_error", "late"),
        ({"prediction_status": "timeout", "prediction_reason": "60 s"}, "timeout", "60 s"),
        ({"prediction_status": "refused", "prediction_reason": ""}, "refused", "marked as refused"),
    ],
)
def test_a_marked_error_is_never_an_answer(
    tmp_path: Path, marks: dict[str, object], status: str, reason: str
) -> None:
    given = _one(tmp_path, response="API error: quota exceeded", **marks)
    assert (given.status, given.text, given.images) == (status, None, ())
    assert reason in given.reason


@pytest.mark.parametrize("marks", [{"status": "ok"}, {"status": "Success"}, {"success": True}])
def test_a_mark_of_success_is_no_error(tmp_path: Path, marks: dict[str, object]) -> None:
    assert _one(tmp_path, **marks).status == "ok"
    assert _one(tmp_path, error="").status == "ok"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/etc/hostname", "absolute"),
        ("../secret.png", "'..'"),
        ("file:///etc/hostname", "absolute"),
        ("data:image/png;base64,AAAA", "absolute"),
        ("out/none.png", "missing"),
        ("link.png", "leaves"),
        ("out/text.png", "not a picture"),
        ("out/bomb.png", "pixels"),
        ("out/cut.png", "truncated"),
        (7, "not a file name"),
    ],
)
def test_a_bad_picture_is_a_row_and_keeps_the_text(
    tmp_path: Path, path: object, reason: str
) -> None:
    _file(tmp_path)
    (tmp_path.parent / "secret.png").write_bytes(GREEN)
    (tmp_path / "link.png").symlink_to(tmp_path.parent / "secret.png")
    (tmp_path / "out/text.png").write_text("sorry")
    (tmp_path / "out/bomb.png").write_bytes(bomb())
    (tmp_path / "out/cut.png").write_bytes(GREEN[:60])
    given = _one(tmp_path, output_image=path)
    assert (given.status, given.text, given.images) == ("invalid_image", "words", ())
    assert reason in given.reason


@pytest.mark.parametrize(
    ("kind", "fields", "status"),
    [
        ("text", {"output_image": None}, "ok"),
        ("text", {"response": None, "output_image": None}, "missing"),
        ("image", {"response": None}, "ok"),
        ("image", {"response": None, "output_image": None}, "missing"),
        ("image+text", {"output_image": None}, "invalid_image"),
        ("image+text", {"output_image": []}, "invalid_image"),
        ("text", {"response": 7}, "model_error"),
    ],
)
def test_what_a_format_needs(
    tmp_path: Path, kind: Any, fields: dict[str, object], status: str
) -> None:
    given = _one(tmp_path, kind, **fields)
    assert given.status == status
    assert bool(given.reason) == (status != "ok")


def test_an_object_as_response_is_read_as_text(tmp_path: Path) -> None:
    given = _one(tmp_path, response={"IMPRESSION": "fine", "FINDINGS": "none"})
    assert given.text == "FINDINGS: none\nIMPRESSION: fine"


def test_an_id_that_stands_twice_is_no_answer(tmp_path: Path) -> None:
    replay = Replay(_file(tmp_path, *({"sample_id": "a", "response": r} for r in "xy")))
    (given,) = replay.predict([Request(_sample("a", "text"))])
    assert (given.status, given.text) == ("model_error", None)
    assert given.reason == (
        "stands twice: line 1 of predictions.jsonl and line 2 of predictions.jsonl"
    )


def test_several_files_are_one_system_with_one_folder_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/green.png").write_bytes(GREEN)
    for name, record in (
        ("vqa", {"sample_id": "a", "response": "words"}),
        ("edit", {"sample_id": "b", "output_image": "out/green.png"}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.jsonl").write_text(json.dumps(record) + "\n")
    urls = [f"{tmp_path}/{name}/model.jsonl" for name in ("vqa", "edit")]
    requests = [Request(_sample("b", "image")), Request(_sample("a", "text"))]
    second, first = Replay(urls, images=str(tmp_path)).predict(requests)
    assert (first.status, first.text) == ("ok", "words")
    assert (second.status, [i.data for i in second.images]) == ("ok", [GREEN])
    (lost,) = Replay(urls).predict(requests[:1])
    assert (lost.status, lost.images) == ("invalid_image", ())
    both = b"".join(Path(url).read_bytes() for url in urls)
    assert Replay(urls).passport()["sha256"] == hashlib.sha256(both).hexdigest()
    twice = Replay([urls[0], urls[0]]).predict(requests[1:])[0]
    assert (twice.status, twice.text) == ("model_error", None)


def test_a_file_that_changes_under_the_run_is_noticed(tmp_path: Path) -> None:
    url = _file(tmp_path, {"sample_id": "a", "response": "x"}, {"sample_id": "b", "response": "y"})
    replay = Replay(url)
    _file(tmp_path, {"sample_id": "b", "response": "x"}, {"sample_id": "a", "response": "y"})
    given = replay.predict([Request(_sample("a", "text"))])
    assert [p.status for p in given] == ["model_error"]
    assert "changed" in given[0].reason


def test_the_digest_names_the_file_and_can_be_asked_for(tmp_path: Path) -> None:
    url = _file(tmp_path, {"sample_id": "a", "response": "x"})
    digest = hashlib.sha256(Path(url).read_bytes()).hexdigest()
    assert Replay(url, sha256=digest).passport()["sha256"] == digest
    with pytest.raises(AdapterError, match="edited"):
        Replay(url, sha256="0" * 64)


@pytest.mark.parametrize(
    ("records", "said"),
    [([], "it is empty"), (["{", "[1]"], "line 1: not JSON"), ([{"id": 1}], "no sample_id")],
)
def test_a_file_without_any_prediction_is_refused(
    tmp_path: Path, records: list[object], said: str
) -> None:
    with pytest.raises(AdapterError, match=said):
        Replay(_file(tmp_path, *records))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="no predictions at"):
        Replay(str(tmp_path / "none.jsonl"))


def test_it_can_lie_in_any_place(store_url: str) -> None:
    fs, root = fsspec.core.url_to_fs(store_url)
    fs.makedirs(f"{root}/out", exist_ok=True)
    record = {"sample_id": "a", "response": "x", "output_image": "out/green.png"}
    fs.pipe_file(f"{root}/predictions.jsonl", json.dumps(record).encode())
    fs.pipe_file(f"{root}/out/green.png", GREEN)
    replay = Replay(f"{store_url}/predictions.jsonl")
    (given,) = replay.predict([Request(_sample("a"))])
    assert (given.status, given.text, given.images[0].data) == ("ok", "x", GREEN)
    assert replay.passport()["records"] == 1


UNREADABLE = [
    # a line that is no record, and whether it still tells whose it is
    ('{"sample_id": "a", "response": "\\ud800"}', True),
    ('{"sample_id": "a", "response": "x\\udc00y"}', True),
    ('{"response": "\\ud83d", "sample_id": "a"}', True),
    ('{"sample_id": "a", "response": NaN}', True),
    ('{"sample_id": "a", "score": 1e999}', True),
    ('{"sample_id": "a", "response": "cut', True),
    ('{"sample_id": "a", "response": "x",}', True),
    ('{"sample_id": "a", "response": "x", "response": "y"}', True),
    ('{"sample_id": "a"} {"b": 1}', True),
    ("{'sample_id': 'a'}", False),
    ('{"sample_id": "a", "metadata": {"sample_id": "b"}', False),
    ('{"sample_id": "\\ud800", "response": "x"}', False),
    ('{"sample_id": 3, "response": "x"}', False),
    ('{"sample_id": "", "response": "x"}', False),
    ('{"response": "x"}', False),
    ('"a"', False),
    ("[1]", False),
    ("{broken", False),
    ("\ufeff{}", False),
    ("null", False),
]


@pytest.mark.parametrize(("line", "told"), UNREADABLE)
def test_an_unreadable_line_is_blamed_on_the_sample_that_it_tells(
    tmp_path: Path, line: str, told: bool
) -> None:
    fine = [{"sample_id": name, "response": name} for name in ("x", "y")]
    replay = Replay(_file(tmp_path, fine[0], "{broken first", fine[1], line))
    given = replay.predict([Request(_sample(n, "text")) for n in ("x", "a", "y")])
    assert [p.status for p in given] == ["ok", "model_error" if told else "missing", "ok"]
    if told:
        assert given[1].reason.startswith("line 4: ")
    else:
        assert "2 of its lines are unreadable, first line 2" in given[1].reason
    assert replay.passport()["unreadable_lines"] == 2
    assert [(p.row, p.sample_id) for p in replay.unreadable] == [
        (2, None),
        (4, "a" if told else None),
    ]


@pytest.mark.parametrize("word", ["None", "null", "", "NaN", "n/a", "false", "No", " none "])
def test_a_word_for_no_error_is_none(tmp_path: Path, word: str) -> None:
    assert _one(tmp_path, error=word).status == "ok"


def test_predictions_for_unknown_samples_are_named_with_their_lines(tmp_path: Path) -> None:
    records = [{"sample_id": n, "response": "x"} for n in ("a", "b", "c")]
    replay = Replay(_file(tmp_path, *records))
    unknown = replay.unknown({"b"})
    assert [(p.file, p.row, p.sample_id) for p in unknown] == [
        ("predictions.jsonl", 1, "a"),
        ("predictions.jsonl", 3, "c"),
    ]
    assert replay.unknown({"a", "b", "c", "d"}) == []
