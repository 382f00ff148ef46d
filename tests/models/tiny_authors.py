"""Authors' code in small: what was read of it, around a real Llama with random weights.

Each takes what its authors' takes and drops what it drops, so that a batch which their code would
answer wrongly is answered wrongly here too.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from models.authors_code import stand_in
from models.tiny_janus import letters
from PIL import Image as Pillow
from transformers import LlamaConfig, LlamaForCausalLM

WIDTH, PARTS, HIDDEN = 8, 4, 32  # of a picture's side in pixels and in parts; of the model
_MARKS: tuple[str, ...] = (
    *("<image>", "<|endofchunk|>", "<im_patch>", "<IMG_CONTEXT>", "<img>", "</img>"),
    "<|im_end|>",
)


class Speaker:
    """A tokenizer, a Llama and an eye; counts how often it was asked to generate."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.tokenizer: Any = letters(_MARKS)
        torch.manual_seed(3)
        self.llama: Any = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(self.tokenizer),
                hidden_size=HIDDEN,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=2,
                initializer_range=0.5,
            )
        ).eval()
        self.eye = torch.randn(3, HIDDEN)
        self.calls, self.given = 0, dict[str, Any]()

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Tokens x width, or rows of them."""
        embedded: torch.Tensor = self.llama.get_input_embeddings()(ids.clamp(min=0))
        return embedded

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pictures x parts x width, of pictures x colours x height x width."""
        parts = torch.nn.functional.adaptive_avg_pool2d(pixels.float(), 2).flatten(2)
        return parts.transpose(1, 2) @ self.eye

    def say(self, embedded: torch.Tensor, mask: Any = None, **how: Any) -> torch.Tensor:
        """New tokens alone, as transformers gives them for embeddings."""
        self.calls += 1
        said: torch.Tensor = self.llama.generate(inputs_embeds=embedded, attention_mask=mask, **how)
        return said

    def id_of(self, mark: str) -> int:
        """Of a mark."""
        return int(self.tokenizer.convert_tokens_to_ids(mark))

    # What all models are asked.

    def eval(self) -> "Speaker":
        return self

    def to(self, *_: Any, **__: Any) -> "Speaker":
        return self

    def parameters(self) -> list[torch.Tensor]:
        return list(self.llama.parameters())


def pixels_of(picture: Pillow.Image) -> torch.Tensor:
    """Colours x height x width, 0 to 1."""
    sized = picture.convert("RGB").resize((WIDTH, WIDTH))
    return torch.from_numpy(np.array(sized)).permute(2, 0, 1) / 255.0


def preprocess(images: Pillow.Image, return_tensors: str) -> dict[str, torch.Tensor]:
    assert return_tensors == "pt"
    return {"pixel_values": pixels_of(images)[None]}


def found(one: Any) -> SimpleNamespace:
    """A class of transformers whose `from_pretrained` gives this one."""
    return SimpleNamespace(from_pretrained=lambda *_, **__: one)


class Llava(Speaker):
    """LLaVA as LLaVA-Rad and HealthGPT carry it: rows of ids with -200 where a picture is."""

    def __init__(self, echo: bool) -> None:
        super().__init__()
        self.echo = echo
        self.base_model = SimpleNamespace(model=self)
        eye = SimpleNamespace(image_mean=(0.5, 0.5, 0.5), preprocess=preprocess)
        self.get_vision_tower = lambda: SimpleNamespace(image_processor=eye)

    def generate(
        self,
        ids: torch.Tensor,
        images: torch.Tensor | None = None,
        image_sizes: Sequence[tuple[int, int]] | None = None,
        use_cache: bool = True,
        **how: Any,
    ) -> torch.Tensor:
        assert "attention_mask" not in how, "it would be put in the wrong place"
        self.given = {"images": images, "image_sizes": image_sizes, **how}
        if images is None:
            embedded = self.embed(ids)
        else:
            assert len(images) == len(ids)
            rows = [self._around(*pair) for pair in zip(ids, self.see(images), strict=True)]
            embedded = torch.stack(rows)
        new = self.say(embedded, **how)
        return torch.cat([ids, new], dim=1) if self.echo else new

    def _around(self, ids: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        ((at,),) = torch.where(ids == -200)
        return torch.cat([self.embed(ids[:at]), seen, self.embed(ids[at + 1 :])])


class Talk:
    """A conversation template of LLaVA's or InternVL's."""

    roles = ("USER", "ASSISTANT")

    def __init__(self) -> None:
        self.turns: list[str] = []

    def copy(self) -> "Talk":
        return Talk()

    def append_message(self, role: str, text: str | None) -> None:
        self.turns.append(f"{role}: {text or ''}")

    def get_prompt(self) -> str:
        return " ".join(self.turns)


def _llava(monkeypatch: pytest.MonkeyPatch) -> None:
    def ids(prompt: str, tokenizer: Any, mark: int, return_tensors: str) -> torch.Tensor:
        assert return_tensors == "pt"
        parts = [tokenizer(part)["input_ids"] for part in prompt.split("<image>")]
        return torch.tensor([number for part in parts for number in (mark, *part)][1:])

    marks = {"IMAGE_TOKEN_INDEX": -200, "DEFAULT_IMAGE_TOKEN": "<image>"}
    stand_in(monkeypatch, "llava.constants", **marks)
    templates = {"v1": Talk(), "phi4_instruct": Talk()}
    stand_in(monkeypatch, "llava.conversation", conv_templates=templates)
    stand_in(monkeypatch, "llava.mm_utils", tokenizer_image_token=ids)


def llava_rad(
    monkeypatch: pytest.MonkeyPatch, folder: Path, echo: bool = True
) -> tuple[Any, Speaker]:
    from medgen.adapters.own.llava_rad import LlavaRad

    _llava(monkeypatch)
    model = Llava(echo)

    def loader(model_path: str, model_base: str, model_name: str) -> tuple[Any, ...]:
        assert (model_base, model_name) == ("lmsys/vicuna-7b-v1.5", "llavarad")
        return model.tokenizer, model, SimpleNamespace(preprocess=preprocess), 2048

    stand_in(monkeypatch, "llava.model.builder", load_pretrained_model=loader)
    return LlavaRad("weights"), model


def healthgpt(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Speaker]:
    from medgen.adapters.own.healthgpt import HealthGPT

    _llava(monkeypatch)
    model = Llava(echo=False)
    torch.save({"a": torch.ones(1)}, folder / "com_hlora_weights_phi4.bin")
    config = SimpleNamespace(instruct_template="phi4_instruct")

    def build(given: Any) -> SimpleNamespace:
        assert (given.model_name_or_path, given.vit_path[-4:]) == ("./phi-4", "-336")
        assert torch.load(given.hlora_path, weights_only=False)["a"] == 1
        return SimpleNamespace(model=model, tokenizer=model.tokenizer, model_dtype=torch.float32)

    def square(pil_img: Pillow.Image, background_color: tuple[int, ...]) -> Pillow.Image:
        assert background_color == (127, 127, 127)
        return pil_img.resize((48, 48))

    stand_in(monkeypatch, "config", HealthGPTConfig_L14_COM=config)
    stand_in(monkeypatch, "model", HealthGPT=build)
    stand_in(monkeypatch, "llava.demo.utils", expand2square=square)
    return HealthGPT(str(folder)), model


class Gmai(Speaker):
    """Its ids are marked; a mask with holes is not what it works with."""

    def generate(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        pixel_values: torch.Tensor,
        **how: Any,
    ) -> torch.Tensor:
        assert attention_mask.all()
        self.given = {"eos_token_id": how["eos_token_id"], "dtype": pixel_values.dtype}
        # Without the ids of a prompt transformers warns that its words are not penalised.
        assert (how.pop("repetition_penalty"), how.pop("no_repeat_ngram_size")) == (1.12, 5)
        seen = self.see(pixel_values)
        rows = []
        for ids, parts in zip(input_ids, seen, strict=True):
            ((at,),) = torch.where(ids == self.id_of("<image>"))
            rows.append(torch.cat([self.embed(ids[:at]), parts, self.embed(ids[at + 1 :])]))
        return torch.cat([input_ids, self.say(torch.stack(rows), **how)], dim=1)


def gmai_vl(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Speaker]:
    from medgen.adapters.own.gmai_vl import GmaiVl

    model = Gmai()
    model.tokenizer.chat_template = "{{ messages[0]['content'] }}"
    config = SimpleNamespace(text_config=SimpleNamespace())
    kinds = {"AutoConfig": config, "AutoTokenizer": model.tokenizer}
    kinds |= {"AutoImageProcessor": preprocess, "AutoModel": model}
    stand_in(monkeypatch, "transformers", **{name: found(one) for name, one in kinds.items()})
    own = GmaiVl("weights")
    assert config.attn_implementation == config.text_config.attn_implementation == "eager"
    return own, model


class Lamed(Speaker):
    """The first parts of a prompt become the volume's; a mask is dropped."""

    def generate(self, images: torch.Tensor, inputs: torch.Tensor, **how: Any) -> torch.Tensor:
        assert images.shape[1:] == (1, 32, 256, 256)
        seen = self.see(images[:, 0, :3])
        embedded = self.embed(inputs)
        return self.say(torch.cat([embedded[:, :1], seen, embedded[:, 1 + PARTS :]], dim=1), **how)


def m3d(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Speaker]:
    from medgen.adapters.own.m3d_lamed import M3DLaMed

    model = Lamed()
    kinds = {"AutoTokenizer": found(model.tokenizer), "AutoModelForCausalLM": found(model)}
    stand_in(monkeypatch, "transformers", **kinds)
    return M3DLaMed("weights"), model


class RadFM(Speaker):
    """`MultiLLaMAForCausalLM`: an embedding of words and pictures, and a language model."""

    def __init__(self, lang_model_path: str) -> None:
        super().__init__()
        self.lang_model = self
        self.embedding_layer: Any = SimpleNamespace
        words = len(self.tokenizer)

        def embedding(text: torch.Tensor, vision: torch.Tensor) -> tuple[torch.Tensor, None]:
            assert self.embedding_layer.flag == "Text"
            assert vision.shape[2:] == (3, 512, 512, 4)
            seen = [self.see(one[..., 0]).repeat(1, 8, 1).flatten(0, 1) for one in vision]
            table = [torch.cat([self._figures(words), parts]) for parts in seen]
            return torch.stack([part[ids] for ids, part in zip(text, table, strict=True)]), None

        class Layer:
            flag = ""
            __call__ = staticmethod(embedding)

        self.embedding_layer = Layer()

    def _figures(self, words: int) -> torch.Tensor:
        both = torch.full((2, HIDDEN), 0.5)
        return torch.cat([self.embed(torch.arange(words)), both])

    def load_state_dict(self, weights: object) -> None:
        """Its own are kept."""

    def generate(
        self, inputs_embeds: torch.Tensor, attention_mask: torch.Tensor, **how: Any
    ) -> torch.Tensor:
        return self.say(inputs_embeds, attention_mask, **how | {"max_new_tokens": 12})


def radfm(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Speaker]:
    from medgen.adapters.own.radfm import RadFM as Own

    torch.save({}, folder / "pytorch_model.bin")
    kind = {"MultiLLaMAForCausalLM": RadFM}
    stand_in(monkeypatch, "Model.RadFM.multimodality_model", **kind)
    plain = letters()
    stand_in(monkeypatch, "transformers", LlamaTokenizer=found(plain))
    monkeypatch.setattr(f"{__name__}._MARKS", ())
    own = Own(str(folder), device="cpu")
    return own, own._model


class Regions(Speaker):
    """MedRegA's InternVL: pictures fill the marks of a batch in their order."""

    template, num_image_token = "Hermes-2", PARTS
    config = SimpleNamespace(force_image_size=448)
    img_context_token_id = -1

    def generate(
        self,
        pixel_values: torch.Tensor,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        **how: Any,
    ) -> torch.Tensor:
        self.given = {"dtype": pixel_values.dtype, **how}
        embedded, chosen = self.embed(input_ids), input_ids == self.img_context_token_id
        assert chosen.sum() != 0
        embedded[chosen] = self.see(pixel_values).flatten(0, 1)
        return self.say(embedded, attention_mask, **how)


def medrega(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Speaker]:
    from medgen.adapters.own.medrega import MedRegA

    model = Regions()
    stand_in(monkeypatch, "internvl.model.internvl_chat", InternVLChatModel=found(model))
    stand_in(monkeypatch, "internvl.conversation", get_conv_template=lambda name: Talk())
    model.tokenizer.pad_token = None  # as in some of its kind
    transform: Callable[..., Any] = lambda is_train, input_size: pixels_of  # noqa: E731
    stand_in(monkeypatch, "internvl.train.dataset", build_transform=transform)
    stand_in(monkeypatch, "transformers", AutoTokenizer=found(model.tokenizer))
    return MedRegA("weights"), model


class Flamingo(Speaker):
    """OpenFlamingo: words see the picture before them; left of the first they see none."""

    def load_state_dict(self, weights: object, strict: bool = True) -> None:
        """Its own are kept."""

    def generate(
        self,
        vision_x: torch.Tensor,
        lang_x: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        **how: Any,
    ) -> torch.Tensor:
        assert vision_x.ndim == 6
        seen = torch.stack([self.see(row[:, 0]).mean(dim=1) for row in vision_x])
        none = torch.zeros(len(seen), 1, HIDDEN)
        number = (lang_x == self.id_of("<image>")).cumsum(dim=-1)
        media = torch.cat([none, seen], dim=1)
        beside = torch.stack([row[at] for row, at in zip(media, number, strict=True)])
        end = self.id_of("<|endofchunk|>")
        new = self.say(self.embed(lang_x) + beside, attention_mask, eos_token_id=end, **how)
        return torch.cat([lang_x, new], dim=1)


def med_flamingo(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Speaker]:
    from medgen.adapters.own.med_flamingo import MedFlamingo

    torch.save({}, folder / "model.pt")
    model = Flamingo()

    def create_model_and_transforms(
        clip_vision_encoder_path: str,
        clip_vision_encoder_pretrained: str,
        lang_encoder_path: str,
        tokenizer_path: str,
        cross_attn_every_n_layers: int = 1,
    ) -> tuple[Any, ...]:
        assert lang_encoder_path == tokenizer_path == "./models/llama-7b-hf"
        assert (clip_vision_encoder_path, cross_attn_every_n_layers) == ("ViT-L-14", 4)
        return model, pixels_of, model.tokenizer

    made = {"create_model_and_transforms": create_model_and_transforms}
    stand_in(monkeypatch, "open_flamingo", **made)
    return MedFlamingo(str(folder)), model


class Maira(Speaker):
    """A LLaVA of transformers, and its processor; boxes are shares of the square that it sees."""

    grounded: Any = None

    def generate(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        pixel_values: torch.Tensor,
        use_cache: bool,
        **how: Any,
    ) -> torch.Tensor:
        embedded, chosen = self.embed(input_ids), input_ids == self.id_of("<image>")
        embedded[chosen] = self.see(pixel_values).flatten(0, 1)
        return torch.cat([input_ids, self.say(embedded, attention_mask, **how)], dim=1)

    def format_and_preprocess_reporting_input(self, *, indication: str | None, **given: Any) -> Any:
        names = ("current_frontal", "current_lateral")
        shown = [given[name] for name in names if given[name] is not None]
        text = "<image>" * PARTS * len(shown) + f"INDICATION: {indication}"
        pixels = torch.stack([pixels_of(picture) for picture in shown])
        return self.tokenizer(text, return_tensors="pt") | {"pixel_values": pixels}

    def decode(self, ids: torch.Tensor, skip_special_tokens: bool = False) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=skip_special_tokens))

    def format_and_preprocess_phrase_grounding_input(
        self, frontal_image: Pillow.Image, phrase: str, return_tensors: str
    ) -> Any:
        given = self.tokenizer("<image>" * PARTS + phrase, return_tensors=return_tensors)
        return given | {"pixel_values": pixels_of(frontal_image)[None]}

    def convert_output_to_plaintext_or_grounded_sequence(self, text: str) -> Any:
        return self.grounded or text

    def adjust_box_for_original_image_size(
        self, box: Sequence[float], width: int, height: int
    ) -> tuple[float, ...]:
        assert (width, height) == (40, 80)
        return tuple(box)


def maira_2(
    monkeypatch: pytest.MonkeyPatch, folder: Path, name: str = "Maira2"
) -> tuple[Any, Speaker]:
    from medgen.adapters.own import maira2

    model = Maira()
    kinds = {"AutoModelForCausalLM": found(model), "AutoProcessor": found(model)}
    stand_in(monkeypatch, "transformers", **kinds)
    return getattr(maira2, name)("weights"), model


class Counted:
    """A model of transformers that counts its calls."""

    def __init__(self, model: Any) -> None:
        self.model, self.device, self.calls = model.eval(), model.device, 0

    def eval(self) -> "Counted":
        return self

    def generate(self, **given: Any) -> torch.Tensor:
        self.calls += 1
        said: torch.Tensor = self.model.generate(**given)
        return said


def medreco(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Any]:
    """The tiny Qwen2.5-VL in place of the authors' changed one."""
    from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

    from medgen.adapters.own.medreco import MedReCo
    from medgen.adapters.tiny.vlm import make

    weights = str(make(folder))
    model = Counted(Qwen2_5_VLForConditionalGeneration.from_pretrained(weights))

    def look(turns: Sequence[Mapping[str, Any]]) -> tuple[list[Pillow.Image] | None, None]:
        parts = [part for turn in turns for part in turn["content"] if part["type"] == "image"]
        return [Pillow.open(part["image"]).convert("RGB") for part in parts] or None, None

    place = "src.model.{}_qwen2_5_vl_ctvit".format
    classes = {"Qwen2_5_VLForConditionalGeneration": found(model)}
    stand_in(monkeypatch, place("modeling"), **classes)
    processor = found(AutoProcessor.from_pretrained(weights))
    stand_in(monkeypatch, place("processing"), Qwen2_5_VLProcessor=processor)
    stand_in(monkeypatch, "src.dataset.vision_process_vit", process_vision_info=look)
    return MedReCo("weights"), model


FILLED = (radfm, medrega, med_flamingo, maira_2, medreco)
OF_ONE_LENGTH = (llava_rad, healthgpt, gmai_vl, m3d)
