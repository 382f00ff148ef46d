"""Classes around authors' code that answer in words, with the signatures that were read of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from models.authors_code import stand_in
from models.conftest import picture
from models.test_own_code import QUESTION
from PIL import Image as Pillow

CONTEXT = "Context: cough\n\nInstruction: Pleural effusion.\n\nMark every place."


class Sizes(dict[str, Any]):
    def to(self, device: str) -> "Sizes":
        return self


class Maira2Processor:
    """As the page of MAIRA-2 calls its processor; boxes are shares of the square that it sees."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def format_and_preprocess_reporting_input(
        self,
        current_frontal: Pillow.Image,
        current_lateral: Pillow.Image | None,
        prior_frontal: Pillow.Image | None,
        indication: str | None,
        technique: str | None,
        comparison: str | None,
        prior_report: str | None,
        return_tensors: str,
        get_grounding: bool,
    ) -> Sizes:
        self.asked = {"lateral": current_lateral, "indication": indication, "boxes": get_grounding}
        return Sizes(input_ids=torch.tensor([[1, 2, 3]]), pixel_values=torch.zeros(1))

    def format_and_preprocess_phrase_grounding_input(
        self, frontal_image: Pillow.Image, phrase: str, return_tensors: str
    ) -> Sizes:
        self.asked = {"phrase": phrase}
        return Sizes(input_ids=torch.tensor([[1, 2, 3]]), pixel_values=torch.zeros(1))

    def decode(self, ids: torch.Tensor, skip_special_tokens: bool = False) -> str:
        return f" tokens {ids.tolist()}"

    def convert_output_to_plaintext_or_grounded_sequence(self, text: str) -> Any:
        if "phrase" not in self.asked:
            return text
        return [("seen", [(0.25, 0.5, 0.75, 1.0)]), ("not seen", None)]

    def adjust_box_for_original_image_size(
        self, box: Sequence[float], width: int, height: int
    ) -> tuple[float, ...]:
        assert (width, height) == (40, 80)
        return tuple(box)


class Generator:
    """A model that gives the prompt back, as causal models do, with two tokens behind it."""

    device = "cpu"

    def __init__(self, echo: bool = True) -> None:
        self.echo, self.given = echo, dict[str, Any]()
        self.base_model = SimpleNamespace(model=self)
        sight = SimpleNamespace(image_mean=(0.5, 0.5, 0.5), preprocess=preprocess)
        self.get_vision_tower = lambda: SimpleNamespace(image_processor=sight)

    def eval(self) -> "Generator":
        return self

    def to(self, *_: Any) -> "Generator":
        return self

    def parameters(self) -> list[torch.Tensor]:
        return [torch.zeros(1)]

    def load_state_dict(self, weights: dict[str, torch.Tensor], strict: bool = True) -> None:
        assert not strict
        assert weights["a"] == 1

    def generate(self, ids: torch.Tensor | None = None, **given: Any) -> torch.Tensor:
        asked = next(x for x in (ids, given.get("input_ids"), given.get("lang_x")) if x is not None)
        self.given = given
        new = torch.tensor([[8, 9]])
        return torch.cat([asked, new], dim=1) if self.echo else new


def preprocess(images: Any, return_tensors: str) -> dict[str, torch.Tensor]:
    assert return_tensors == "pt"
    return {"pixel_values": torch.zeros(1, 3, images.size[1], images.size[0])}


class Tokenizer:
    eos_token_id = 2
    padding_side = "right"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, text: Any, return_tensors: str) -> dict[str, torch.Tensor]:
        self.asked += [text] if isinstance(text, str) else text
        ids = torch.tensor([[1, 5, 6]])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def decode(self, ids: torch.Tensor, skip_special_tokens: bool = False) -> str:
        return f"said {ids.tolist()}{'' if skip_special_tokens else '<|endofchunk|> and more'}"

    def apply_chat_template(
        self, turns: Sequence[Any], tokenize: bool, add_generation_prompt: bool
    ) -> str:
        assert add_generation_prompt
        assert not tokenize
        return f"user: {turns[0]['content']}"

    def convert_tokens_to_ids(self, mark: str) -> int:
        return {"<|im_end|>": 77}[mark]


class Talk:
    """A conversation template of LLaVA's."""

    roles = ("USER", "ASSISTANT")

    def __init__(self) -> None:
        self.turns: list[tuple[str, str | None]] = []

    def copy(self) -> "Talk":
        return Talk()

    def append_message(self, role: str, text: str | None) -> None:
        self.turns.append((role, text))

    def get_prompt(self) -> str:
        return " ".join(f"{role}: {text or ''}" for role, text in self.turns)


def llava(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The package that LLaVA-Rad and HealthGPT carry; the prompts that it was given."""
    prompts: list[str] = []

    def ids(prompt: str, tokenizer: Any, mark: int, return_tensors: str) -> torch.Tensor:
        assert (mark, return_tensors) == (-200, "pt")
        prompts.append(prompt)
        return torch.tensor([1, mark, 6])

    marks = {"IMAGE_TOKEN_INDEX": -200, "DEFAULT_IMAGE_TOKEN": "<image>"}
    stand_in(monkeypatch, "llava.constants", **marks)
    templates = {"v1": Talk(), "phi4_instruct": Talk()}
    stand_in(monkeypatch, "llava.conversation", conv_templates=templates)
    stand_in(monkeypatch, "llava.mm_utils", tokenizer_image_token=ids)
    return prompts


@pytest.fixture
def maira(monkeypatch: pytest.MonkeyPatch) -> Maira2Processor:
    processor = Maira2Processor()
    found = {"from_pretrained": lambda *_, **__: processor}
    model = SimpleNamespace(from_pretrained=lambda *_, **__: Generator())
    kinds = {"AutoModelForCausalLM": model, "AutoProcessor": SimpleNamespace(**found)}
    stand_in(monkeypatch, "transformers", **kinds)
    return processor


def test_maira_2_writes_findings_of_one_picture_or_two(maira: Maira2Processor) -> None:
    from medgen.adapters.own.maira2 import Maira2

    model = Maira2("microsoft/maira-2", "c0ffee")
    both = QUESTION | {"images": [picture(1), picture(2)], "instruction": CONTEXT}
    assert model.answer([both, QUESTION]) == ["tokens [8, 9]"] * 2
    assert maira.asked == {"lateral": None, "indication": None, "boxes": False}
    model.answer([both])
    assert maira.asked["indication"] == "cough"
    assert maira.asked["lateral"].size == (32, 32)
    for count in (0, 3):
        with pytest.raises(ValueError, match=f"{count} pictures; it takes a frontal one"):
            model.answer([QUESTION | {"images": [picture(1)] * count}])


def test_maira_2_marks_a_phrase_in_pixels_of_the_picture(maira: Maira2Processor) -> None:
    from medgen.adapters.own.maira2 import Maira2Boxes

    model = Maira2Boxes("microsoft/maira-2")
    question = QUESTION | {"images": [picture(1, (40, 80))], "instruction": CONTEXT}
    assert model.answer([question]) == ["[10, 40, 30, 80]"]
    assert maira.asked == {"phrase": "Pleural effusion."}
    maira.convert_output_to_plaintext_or_grounded_sequence = lambda text: [("none", None)]  # type: ignore[method-assign]
    assert model.answer([question]) == ["none"]


@pytest.mark.parametrize("echo", [True, False])
def test_llava_rad_gives_what_is_new_of_either_base(
    monkeypatch: pytest.MonkeyPatch, echo: bool
) -> None:
    from medgen.adapters.own.llava_rad import LlavaRad

    prompts, model = llava(monkeypatch), Generator(echo)

    def loader(model_path: str, model_base: str, model_name: str) -> tuple[Any, ...]:
        assert (model_base, model_name) == ("lmsys/vicuna-7b-v1.5", "llavarad")
        return Tokenizer(), model, SimpleNamespace(preprocess=preprocess), 2048

    stand_in(monkeypatch, "llava.model.builder", load_pretrained_model=loader)
    with pytest.raises(ValueError, match="loads a folder"):
        LlavaRad("microsoft/llava-rad", revision="c0ffee")
    rad = LlavaRad("weights")
    assert rad.answer([QUESTION | {"instruction": CONTEXT}]) == ["said [8, 9]"]
    assert prompts == ["USER: <image>\nPleural effusion.\n ASSISTANT: "]
    assert (model.given["images"].dtype, model.given["do_sample"]) == (torch.float16, False)
    with pytest.raises(ValueError, match="2 pictures; it takes one"):
        rad.answer([QUESTION | {"images": [picture(1)] * 2}])


def test_healthgpt_is_loaded_without_pickles_and_answers_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from medgen.adapters.own.healthgpt import HealthGPT

    prompts, model = llava(monkeypatch), Generator(echo=False)
    torch.save({"a": torch.ones(1)}, tmp_path / "com_hlora_weights_phi4.bin")
    seen: dict[str, Any] = {}

    def build(config: Any) -> SimpleNamespace:
        seen.update(base=config.model_name_or_path, sight=config.vit_path)
        seen["weights"] = torch.load(config.hlora_path, weights_only=False)
        return SimpleNamespace(model=model, tokenizer=Tokenizer(), model_dtype=torch.float16)

    config = SimpleNamespace(instruct_template="phi4_instruct")
    stand_in(monkeypatch, "config", HealthGPTConfig_L14_COM=config)
    stand_in(monkeypatch, "model", HealthGPT=build)

    def expand2square(pil_img: Pillow.Image, background_color: tuple[int, ...]) -> Pillow.Image:
        assert background_color == (127, 127, 127)
        return pil_img.resize((48, 48))

    stand_in(monkeypatch, "llava.demo.utils", expand2square=expand2square)
    health = HealthGPT(str(tmp_path), base="./phi-4")
    assert (seen["base"], seen["weights"]["a"]) == ("./phi-4", 1)
    asked = QUESTION | {"instruction": "what is it?"}
    assert health.answer([asked]) == ["said [8, 9]"]
    assert prompts == ["USER: <image>\nyou read\n\nwhat is it? ASSISTANT: "]
    assert tuple(model.given["images"].shape) == (1, 3, 48, 48)
    assert model.given["image_sizes"] == (48, 48)
    assert health.answer([asked | {"images": []}]) == ["said [8, 9]"]
    assert (model.given["images"], prompts[-1]) == (
        None,
        "USER: you read\n\nwhat is it? ASSISTANT: ",
    )


def test_med_flamingo_is_asked_as_its_demo_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from medgen.adapters.own.med_flamingo import MedFlamingo

    torch.save({"a": torch.ones(1)}, tmp_path / "model.pt")
    model, tokenizer = Generator(), Tokenizer()
    sight: Callable[[Pillow.Image], torch.Tensor] = lambda shown: torch.zeros(3, 8, 8)  # noqa: E731

    def create_model_and_transforms(
        clip_vision_encoder_path: str,
        clip_vision_encoder_pretrained: str,
        lang_encoder_path: str,
        tokenizer_path: str,
        cross_attn_every_n_layers: int = 1,
    ) -> tuple[Any, ...]:
        assert lang_encoder_path == tokenizer_path == "./models/llama-7b-hf"
        assert (clip_vision_encoder_path, cross_attn_every_n_layers) == ("ViT-L-14", 4)
        return model, sight, tokenizer

    made = {"create_model_and_transforms": create_model_and_transforms}
    stand_in(monkeypatch, "open_flamingo", **made)
    flamingo = MedFlamingo(str(tmp_path))
    asked = QUESTION | {"instruction": CONTEXT, "images": [picture(1)] * 2}
    assert flamingo.answer([asked]) == ["said [8, 9]"]
    assert tokenizer.asked[0].endswith("<image><image>Question: Pleural effusion. Answer:")
    assert tuple(model.given["vision_x"].shape) == (1, 2, 1, 3, 8, 8)
    assert tokenizer.padding_side == "left"
    with pytest.raises(ValueError, match="there is none"):
        flamingo.answer([QUESTION | {"images": []}])


def test_gmai_vl_is_asked_as_its_demo_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from medgen.adapters.own.gmai_vl import GmaiVl

    model, tokenizer = Generator(), Tokenizer()
    config = SimpleNamespace(text_config=SimpleNamespace())
    found = {
        "AutoConfig": config,
        "AutoTokenizer": tokenizer,
        "AutoImageProcessor": preprocess,
        "AutoModel": model,
    }
    kinds = {
        name: SimpleNamespace(from_pretrained=lambda *_, of=one, **__: of)
        for name, one in found.items()
    }
    stand_in(monkeypatch, "transformers", **kinds)
    gmai = GmaiVl("weights", "c0ffee")
    assert config.attn_implementation == config.text_config.attn_implementation == "eager"
    asked = QUESTION | {"instruction": "what is it?"}
    assert gmai.answer([asked]) == ["said [8, 9]"]
    assert tokenizer.asked == ["user: <image>\nyou read\n\nwhat is it?"]
    assert model.given["eos_token_id"] == [2, 77]
    assert model.given["pixel_values"].dtype == torch.bfloat16
    with pytest.raises(ValueError, match="0 pictures; it takes one"):
        gmai.answer([QUESTION | {"images": []}])


class Chat:
    """InternVL's, of MedRegA's repository."""

    asked: ClassVar[dict[str, Any]] = {}

    config = SimpleNamespace(force_image_size=None, vision_config=SimpleNamespace(image_size=448))

    @classmethod
    def from_pretrained(
        cls, name: str, low_cpu_mem_usage: bool, torch_dtype: torch.dtype, revision: str | None
    ) -> "Chat":
        assert (name, torch_dtype) == ("Luxuriant16/medrega", torch.bfloat16)
        cls.asked["revision"] = revision
        return cls()

    def eval(self) -> "Chat":
        return self

    def to(self, device: str) -> "Chat":
        return self

    def chat(
        self,
        tokenizer: Tokenizer,
        pixel_values: torch.Tensor,
        question: str,
        generation_config: dict[str, Any],
    ) -> str:
        self.asked.update(pixels=pixel_values, question=question, how=generation_config)
        return " an effusion "


def test_medrega_is_asked_as_its_demo_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from medgen.adapters.own.medrega import MedRegA

    def build_transform(is_train: bool, input_size: int) -> Callable[[Any], torch.Tensor]:
        assert not is_train
        return lambda picture: torch.zeros(3, input_size, input_size)

    stand_in(monkeypatch, "internvl.model.internvl_chat", InternVLChatModel=Chat)
    stand_in(monkeypatch, "internvl.train.dataset", build_transform=build_transform)
    tokens = SimpleNamespace(from_pretrained=lambda *_, **__: Tokenizer())
    stand_in(monkeypatch, "transformers", AutoTokenizer=tokens)
    model = MedRegA("Luxuriant16/medrega", "c0ffee")
    asked = Chat.asked
    question = QUESTION | {"instruction": "what is it?", "images": [picture(1)]}
    assert model.answer([question]) == ["an effusion"]
    assert (asked["revision"], asked["question"]) == ("c0ffee", "you read\n\nwhat is it?")
    assert (tuple(asked["pixels"].shape), asked["pixels"].dtype) == (
        (1, 3, 448, 448),
        torch.bfloat16,
    )
    assert asked["how"]["num_beams"] == 1
    assert asked["how"]["do_sample"] is False
    with pytest.raises(ValueError, match="0 pictures; it takes one"):
        model.answer([QUESTION | {"images": []}])
