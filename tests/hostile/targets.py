"""What reads outside bytes, each with the only ways in which it may end.

A target takes any bytes and returns; whatever it raises is a defect. The quick tests feed them
from a grammar of JSON and mutations, the long run with a fuzzer that watches coverage.
"""

import atexit
import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from medgen.adapters.batches.anthropic import AnthropicBatches
from medgen.adapters.batches.following import read_results
from medgen.adapters.batches.openai import OpenAIBatches
from medgen.adapters.http.bodies import read_json
from medgen.adapters.http.endpoint import Call, Reply
from medgen.adapters.http.errors import parse_json
from medgen.adapters.http.served import _entries, _entry
from medgen.adapters.http.verdict import judge
from medgen.adapters.http.waits import retry_after, wish_of
from medgen.adapters.models.image_replies import check_images, count_images, read_images
from medgen.adapters.models.openai_chat import OpenAIChat
from medgen.adapters.models.replies import check_completion
from medgen.adapters.models.usage import read_usage
from medgen.adapters.sources.folder import FaultyContent, safe_path, strict_json
from medgen.adapters.sources.records import Checker
from medgen.adapters.sources.view import ViewSource
from medgen.conf.reading import ConfError, read_yaml
from medgen.engine.answers.closed import read_answer
from medgen.engine.answers.refusals import is_refusal
from medgen.engine.benchmark.manifest import manifest_from_json
from medgen.engine.bounds import RECORD
from medgen.engine.chat.answering import AnswerStyle, answer
from medgen.engine.chat.messages import ChatReply
from medgen.engine.data import FORMS, Image, Prediction, Sample, Verdict
from medgen.engine.errors import AdapterError, CorruptError, ImageError
from medgen.engine.images import open_image
from medgen.engine.judging.prompts import Rubric
from medgen.engine.judging.protocols import PROTOCOLS
from medgen.engine.judging.replies import read_reply
from medgen.engine.store import schemas
from medgen.engine.store.sample_rows import sample_table
from medgen.engine.store.sealed import unseal
from medgen.metrics.text.closed_form import parse_compat

SAMPLE = Sample(
    "s1", "image+text", "report-generation", "CT", "Say what this is.",
    choices=("first", "second"), reference_texts=("lungs",), input_images=(Image(b"x", "x.png"),),
)  # fmt: skip
Target = Callable[[bytes], None]


def records(data: bytes) -> None:
    """A line of a benchmark becomes samples or problems that can be stored and told."""
    source, checker = _source()
    for item in source._record("edit.jsonl", checker, (1, data)):
        if isinstance(item, Sample):
            sample_table([item])
        else:
            str(item).encode()


@cache
def _source() -> tuple[ViewSource, Checker]:
    (_folder() / "edit.jsonl").touch()
    return ViewSource(str(_folder())), Checker()


def json_lines(data: bytes) -> None:
    """A line is an object of plain JSON, or is refused."""
    with contextlib.suppress(FaultyContent):
        json.dumps(strict_json(data), allow_nan=False).encode()


def paths(data: bytes) -> None:
    """A path is refused, or leads below its folder."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(FaultyContent):
        found = safe_path(text)
        assert ".." not in found.split("/")
        assert not found.startswith("/")
        assert "\0" not in found


def answers(data: bytes) -> None:
    """What a model says becomes a row that can be stored."""
    text = data.decode("utf-8", "surrogatepass") if _decodes(data) else data.decode("latin-1")
    for mode in ("vqa", "compositional"):
        row = answer(SAMPLE, ChatReply(text=text.encode("utf-8", "replace").decode()), _style(mode))
        assert row.status in ("ok", "refused", "model_error")
        schemas.prediction_table([row])


@cache
def _style(mode: Any) -> AnswerStyle:
    return AnswerStyle(mode=mode)


def _decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def judge_replies(data: bytes) -> None:
    """A judge's words become scores on the scale, or no number at all."""
    text = data.decode("utf-8", "replace")
    for rubric in _rubrics():
        for form in FORMS:
            reading = read_reply(text, rubric, form)
            assert bool(reading.scores) == (reading.status == "ok")
            low, high = rubric.protocol.low, rubric.protocol.high
            assert all(low <= score <= high for score in reading.scores.values())
            verdict = Verdict(
                SAMPLE.id, "reference_free", "j", status=reading.status, reason=reading.reason,
                scores=reading.scores, explanations=reading.explanations, raw=text,
            )  # fmt: skip
            schemas.verdict_table([verdict], {SAMPLE.id: _CONTEXT})


_CONTEXT = schemas.context([SAMPLE], [Prediction(SAMPLE.id)])[SAMPLE.id]


@cache
def _rubrics() -> tuple[Rubric, ...]:
    return tuple(Rubric(protocol) for protocol in PROTOCOLS.values())


def api_replies(data: bytes) -> None:
    """What an endpoint sends becomes a row that can be stored, or is asked for again."""
    outcome = Reply(200, data, {})
    with contextlib.suppress(AdapterError):  # of another model
        schemas.prediction_table([answer(SAMPLE, _endpoint()._read(outcome), _style("vqa"))])
    for status in (200, 400, 403, 500):
        attempt = judge(Reply(status, data, {}), Call(check=check_completion), str)
        assert isinstance(attempt.outcome, Reply) or attempt.outcome.reason
    for read in (check_images, read_images, count_images, read_usage):
        read(Reply(200, data, {}))
    for wait in (retry_after(data.decode("latin-1")), wish_of({}, parse_json(data))):
        assert wait is None or wait > 0


def batch_results(data: bytes) -> None:
    """A line of a batch's results becomes what a reply would, of its request or of none."""
    client = _endpoint()._client
    for vendor in (OpenAIBatches(client, 2**20), AnthropicBatches(client, 2**20, 1.0)):
        found = read_results(Reply(200, data, {}), ["a"], vendor.result, 2**16)
        for result in found.values():
            if isinstance(result, Reply):
                judge(result, Call(check=check_completion), str)


def served_lists(data: bytes) -> None:
    """What a server lists as its models has an entry of the model that is asked for, or none."""
    with contextlib.suppress(ValueError):
        said = read_json(data)
        assert _entry(said, "m")
        [str(entry.get("id")) for entry in _entries(said)]


@cache
def _endpoint() -> OpenAIChat:
    return OpenAIChat("m", endpoint={"base_url": "http://127.0.0.1:1/v1"})


def configurations(data: bytes) -> None:
    """A configuration is a mapping of bounded size, or is refused."""
    file = _folder() / "run.yaml"
    file.write_bytes(data)
    with contextlib.suppress(ConfError):
        assert isinstance(read_yaml(str(file)), dict)


@cache
def _folder() -> Path:
    """A folder of this process, which goes with it."""
    folder = tempfile.mkdtemp(prefix="medgen-hostile-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def pictures(data: bytes) -> None:
    """Bytes are one picture of a sane size, or are refused."""
    with contextlib.suppress(ImageError):
        image = open_image(data, max_pixels=2**16)
        assert 0 < image.width * image.height <= 2**16


def shards(data: bytes) -> None:
    """Stored bytes are what was written, or are refused."""
    with contextlib.suppress(CorruptError):
        unseal(data, "shard")
    with contextlib.suppress(CorruptError):
        manifest_from_json(data, "manifest.json")


def choices(data: bytes) -> None:
    """An answer to a closed question is a letter, a set of words, or unparseable."""
    text = data.decode("utf-8", "replace")[: RECORD.characters]  # the longest answer that is kept
    for task in ("multiple-choice", "blank-filling"):
        parse_compat(text, ("first", "second"), task)
        read_answer(text, ("first", "second"), task)
        is_refusal(text, task, ("first", "second"))


TARGETS: Mapping[str, Target] = {
    target.__name__: target
    for target in (
        records, json_lines, paths, answers, judge_replies, api_replies, configurations, pictures,
        shards, choices, batch_results, served_lists,
    )
}  # fmt: skip
