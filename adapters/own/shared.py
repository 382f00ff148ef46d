"""What classes around authors' code have in common. For any interpreter from Python 3.9 on.

Packages of other environments are imported when a model is loaded.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Hashable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from medgen.adapters.own.own_server import Question

_Asked = TypeVar("_Asked")
_Made = TypeVar("_Made")


class Together:
    """A model whose code answers several questions in one call, each as it would alone.

    Those that are drawn alike go into one call, and each with the seed that is its own. A question
    that is no prompt of the model's fails alone, before anything is computed.
    """

    def answer(self, questions: Sequence[Question]) -> list[str | Exception]:
        """A text for each."""
        return replies_to(questions, self.prompt, self.texts, self.kind)

    def prompt(self, question: Question) -> Any:
        """What the model is given."""
        raise NotImplementedError

    def kind(self, prompt: Any) -> Hashable:
        """Prompts of one kind go into one call: all where the code fills up shorter ones."""
        return None

    def texts(self, prompts: Sequence[Any], drawn: dict[str, Any]) -> Sequence[str]:
        """A text for each, drawn as `drawn` says."""
        raise NotImplementedError


class Unified:
    """A model that writes and draws, one question at a time, each with its own seed.

    A class whose code takes several overrides `words_for` or `pictures_for`.
    """

    def reply(self, questions: Sequence[Question]) -> list[list[str | bytes] | Exception]:
        """What each question asks for: words, then a picture."""
        parts: list[Any] = [[] for _ in questions]
        for kind, make in (("text", self.words_for), ("image", self.pictures_for)):
            asked = [at for at, question in enumerate(questions) if kind in question["modalities"]]
            asked = [at for at in asked if not isinstance(parts[at], Exception)]
            made = make([questions[at] for at in asked]) if asked else ()
            for at, one in zip(asked, made):
                parts[at] = one if isinstance(one, Exception) else [*parts[at], one]
        return parts

    def words_for(self, questions: Sequence[Question]) -> Sequence[str | Exception]:
        """Answers in words."""
        return _each(questions, self.write)

    def pictures_for(self, questions: Sequence[Question]) -> Sequence[bytes | Exception]:
        """Encoded pictures, each made of the first that is given or of words alone."""
        return _each(questions, self.draw)

    def write(self, question: Question) -> str:
        """An answer in words."""
        raise NotImplementedError

    def draw(self, question: Question) -> bytes:
        """An encoded picture, made of the first that is given or of words alone."""
        raise NotImplementedError


def _each(
    questions: Sequence[Question], make: Callable[[Question], _Made]
) -> list[_Made | Exception]:
    """What is made of each alone, with its seed, or what it raises."""

    def one(question: Question) -> _Made:
        seed(question)
        return make(question)

    return [_attempt(one, question) for question in questions]


def _attempt(make: Callable[[_Asked], _Made], asked: _Asked) -> _Made | Exception:
    try:
        return make(asked)
    except Exception as err:  # noqa: BLE001 - it stands in the place of this question's reply
        return err


def replies_to(
    questions: Sequence[Question],
    prompt: Callable[[Question], Any],
    make: Callable[[Sequence[Any], dict[str, Any]], Sequence[_Made]],
    kind: Callable[[Any], Hashable] = lambda _: None,
) -> list[_Made | Exception]:
    """What `make` makes of the prompts of one kind that are drawn alike, with each one's seed.

    Raises:
        Exception: what `make` raises, or a prompt for which memory was short beside the others.
    """
    found: list[Any] = [_attempt(prompt, question) for question in questions]
    for err in found:
        if len(found) > 1 and isinstance(err, Exception) and "out of memory" in str(err):
            raise err
    groups: dict[Hashable, list[int]] = {}
    for at, given in enumerate(found):
        if not isinstance(given, Exception):
            how = tuple(drawing(questions[at]).items())
            groups.setdefault((how, kind(given)), []).append(at)
    for places in groups.values():
        some = [questions[at] for at in places]
        heat = some[0]["temperature"]
        with seeds(some if heat > 0 else some[:1]):  # watching for draws takes time
            made = make([found[at] for at in places], drawing(some[0]))
        for at, one in zip(places, made):
            found[at] = one
    return found


def load_hub_model(
    model: str, revision: str, beside: str = "AutoTokenizer", **further: Any
) -> tuple[Any, Any]:
    """Tokenizer (or what `beside` names) and bfloat16 weights of a causal model of a hub.

    The code of their repository is run. `further` goes to the tokenizer.
    """
    import torch

    transformers = import_module("transformers")
    known = {"revision": revision or None, "trust_remote_code": True}
    loaded = transformers.AutoModelForCausalLM.from_pretrained(
        model, device_map="auto", torch_dtype=torch.bfloat16, **known
    )
    kind = getattr(transformers, beside)
    return kind.from_pretrained(model, **further, **known), loaded.eval()


def refuse_revision(revision: str) -> None:
    """For code that loads a folder and knows no revisions of a hub.

    Raises:
        ValueError: there is one.
    """
    if revision:
        raise ValueError("its code loads a folder; fetch the commit into one and name that")


@contextlib.contextmanager
def plain_weights() -> Iterator[None]:
    """Let `torch.load` of the authors' code read tensors alone: a pickle may run anything."""
    torch: Any = import_module("torch")
    whole = torch.load
    torch.load = lambda *given, **how: whole(*given, **{**how, "weights_only": True})
    try:
        yield
    finally:
        torch.load = whole


def words(question: Question) -> str:
    """The system's words before the user's, for models that know no system turn."""
    return "\n\n".join(filter(None, (question["system"], question["instruction"])))


def order(question: Question) -> str:
    """The instruction alone, without context and without how the answer is to be given."""
    text = str(question["instruction"])
    start = re.search(r"(?:^|\n)Instruction: ", text)
    if start is None:
        return text
    asked, _, _ = text[start.end() :].rpartition("\n\n")
    return asked or text[start.end() :]


def pictures(question: Question) -> list[Any]:
    """The question's pictures, decoded, in colour."""
    pillow = import_module("PIL.Image")
    return [pillow.open(io.BytesIO(data)).convert("RGB") for data in question["images"]]


def png(picture: Any) -> bytes:
    """A picture of Pillow's as PNG."""
    sink = io.BytesIO()
    picture.save(sink, format="PNG")
    return sink.getvalue()


@contextlib.contextmanager
def files(images: Sequence[bytes]) -> Iterator[list[str]]:
    """Pictures as files, for code that takes paths; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="medgen-own-") as folder:
        paths = [os.path.join(folder, f"{number}.png") for number in range(len(images))]
        for path, data in zip(paths, images):
            with open(path, "wb") as sink:
                sink.write(data)
        yield paths


def only_picture(question: Question) -> Any:
    """The one picture of a question.

    Raises:
        ValueError: not one.
    """
    shown = pictures(question)
    if len(shown) != 1:
        raise ValueError(f"{len(shown)} pictures; it takes one")
    return shown[0]


def fill_left(tokenizer: Any) -> None:
    """Let a tokenizer fill shorter prompts up before their first word: replies begin together."""
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token


def stack_left(rows: Sequence[Tensor], fill: float = 0) -> tuple[Tensor, Tensor]:
    """Tensors of different lengths as one, filled at the left, and the mask of what is none.

    rows x longest (x what a place holds), and rows x longest.
    """
    import torch

    longest = max(len(row) for row in rows)
    whole = rows[0].new_full((len(rows), longest, *rows[0].shape[1:]), fill)
    mask = whole.new_zeros((len(rows), longest), dtype=torch.long)
    for at, row in enumerate(rows):
        whole[at, longest - len(row) :] = row
        mask[at, longest - len(row) :] = 1
    return whole, mask


def seed(question: Question) -> None:
    """Let every draw of torch's follow the question's own seed."""
    import torch

    torch.manual_seed(int(question["seed"]))


@contextlib.contextmanager
def seeds(questions: Sequence[Question]) -> Iterator[None]:
    """Let each question's rows of a batch follow its own seed, as they do alone.

    Of what torch draws with, `multinomial` and `uniform_` are handed rows of one question at a
    time; all else follows the first question.
    """
    seed(questions[0])
    if len(questions) == 1:
        yield
        return
    import torch

    drawn = (torch.multinomial, torch.Tensor.multinomial, torch.Tensor.uniform_)
    made: dict[Any, list[Any]] = {}

    def generators(device: Any) -> list[Any]:
        if device not in made:
            made[device] = [
                torch.Generator(device).manual_seed(int(question["seed"])) for question in questions
            ]
        return made[device]

    class Rows(torch.overrides.TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if function not in drawn:
                return function(*args, **(kwargs or {}))
            parts = args[0].chunk(len(questions))
            one_each = zip(parts, generators(args[0].device))
            return torch.cat(
                [
                    function(part, *args[1:], **{**(kwargs or {}), "generator": generator})
                    for part, generator in one_each
                ]
            )

    with Rows():
        yield


def drawing(question: Question) -> dict[str, Any]:
    """How `generate` of transformers is to draw: greedily at temperature 0."""
    heat = question["temperature"]
    drawn = {"do_sample": True, "temperature": heat} if heat > 0 else {"do_sample": False}
    return {"max_new_tokens": question["max_tokens"], **drawn}
