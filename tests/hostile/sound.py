"""Sound inputs of every target: what a fuzzer changes to get beyond the first lines of a parser."""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa
from hostile.corpus import entries
from judging.cases import valid_reply
from sources.outside import RECORDS

from medgen.engine.data import FORMS
from medgen.engine.judging.prompts import Rubric
from medgen.engine.judging.protocols import PROTOCOLS
from medgen.engine.store.sealed import seal


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


_REPLY = {
    "model": "m",
    "choices": [
        {
            "message": {"role": "assistant", "content": "B. second", "refusal": None},
            "finish_reason": "stop",
            "logprobs": {
                "content": [
                    {"token": "B", "logprob": -0.1, "top_logprobs": [{"token": "A", "logprob": -2}]}
                ]
            },
        }
    ],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 4},
    },
}
_MESSAGE = {
    "model": "m",
    "content": [{"type": "text", "text": "B."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 7, "output_tokens": 3},
}
_WRITTEN = {"output_text": "The lungs are clear.", "generate_prompt": "A chest radiograph."}
_VERDICTS = [
    _json(valid_reply(Rubric(protocol), form, 3))
    for protocol in PROTOCOLS.values()
    for form in FORMS
]
_TABLE = pa.table({"id": ["a", "b"]}, metadata={"medgen.schema": "score/2"})
_MANIFEST = {
    "version": "benchmark/2",
    "shards": [{"samples": 1, "asks": {}, "digest": "", "sha256": ""}],
}

INPUTS: Mapping[str, Sequence[bytes]] = {
    "records": [_json(record) for record in RECORDS],
    "json_lines": [_json(record) for record in RECORDS],
    "paths": [b"images/a.png"],
    "answers": [
        _json(_WRITTEN),
        b"```json\n" + _json(_WRITTEN) + b"\n```",
        b"I am sorry, but I can't",
    ],
    "judge_replies": _VERDICTS,
    "api_replies": [_json(_REPLY)],
    "configurations": [b"store: x\nsystems: [oracle]\ncluster: {pool: local}\n"],
    "pictures": [e.content for e in entries("pictures") if e.said is None],
    "shards": [seal(_TABLE), _json(_MANIFEST)],
    "batch_results": [
        _json({"custom_id": "a", "response": {"status_code": 200, "body": _REPLY}}),
        _json({"custom_id": "a", "error": {"code": "batch_expired", "message": "late"}}),
        _json({"custom_id": "a", "result": {"type": "succeeded", "message": _MESSAGE}}),
        _json(
            {
                "custom_id": "a",
                "result": {
                    "type": "errored",
                    "error": {"error": {"type": "overloaded_error", "message": "busy"}},
                },
            }
        ),
    ],
    "served_lists": [_json({"object": "list", "data": [{"id": "m", "root": "/m"}]})],
    "choices": [b"B", b"The answer is (B) second.", b"first; second"],
}
