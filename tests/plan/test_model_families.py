"""Presets are their family and three facts; mistakes of either are said with file and path."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from medgen.conf.families import PLACES
from medgen.conf.loading import facts_of, group_names, load, preset_file
from medgen.conf.reading import ConfError, read_yaml
from medgen.launch.setup import libraries

BASE = ("store=/s", "benchmark=mini", "cluster=local", "protocol=weight-free")
FAMILY = """
put:
  system:
    id: [answer.kwargs.model]
    revision: [answer.kwargs.load.revision]
    gpus: [answer.resources.gpus]
system:
  gives: [text]
  answer: {target: unified-in-process, kwargs: {target: "a:B"}}
  needs: [patience]
sizes: {small: {weights_gib: 1.0, source: nowhere}}
"""
PRESETS = [
    (group, name)
    for group in PLACES
    for name in group_names(group)
    if "family" in read_yaml(str(preset_file(group, name)))
]


def made(tmp_path: Path, preset: dict[str, Any], family: str = FAMILY) -> Any:
    """The one system of a run whose folder has a family and a preset of its own."""
    for folder in ("family", "system"):
        (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / "family" / "mine.yaml").write_text(family)
    (tmp_path / "system" / "one.yaml").write_text(yaml.safe_dump(preset))
    body = {"name": "r", "store": "/s", "benchmark": "mini", "systems": ["one"]}
    (tmp_path / "run.yaml").write_text(
        yaml.safe_dump(body | {"protocol": "weight-free", "cluster": "local"})
    )
    return load(str(tmp_path / "run.yaml")).system["one"]


def test_a_preset_is_its_family_and_its_facts(tmp_path: Path) -> None:
    facts = {"family": "mine", "id": "a/b", "revision": "c" * 40, "size": "small", "card": 24}
    system = made(tmp_path, {**facts, "gpus": 2, "notes": ["new"], "needs": ["luck"]})
    assert system.answer.kwargs == {"target": "a:B", "model": "a/b", "load": {"revision": "c" * 40}}
    assert system.answer.resources.gpus == 2
    assert system.needs == ["2 GPUs of 24 GB or more on one node", "patience", "luck"]
    assert system.notes == ["new"]
    assert system.gives == ["text"]


def test_what_a_preset_says_itself_wins(tmp_path: Path) -> None:
    own = {"family": "mine", "id": "a/b", "answer": {"kwargs": {"load": {"revision": "mine"}}}}
    system = made(tmp_path, own)
    assert system.answer.kwargs["load"]["revision"] == "mine"
    assert system.needs == ["patience"]


def test_a_model_without_a_commit_stands_at_its_branch(tmp_path: Path) -> None:
    system = made(tmp_path, {"family": "mine", "id": "a/b"})
    assert system.answer.kwargs["load"]["revision"] == "main"


@pytest.mark.parametrize(
    ("preset", "family", "words"),
    [
        ({"family": "mine"}, FAMILY, r"one\.yaml: id "),
        ({"family": "mine", "id": "a/b", "card": "large"}, FAMILY, r"one\.yaml: card: .*large"),
        ({"family": "mine", "id": "a/b", "size": "smal"}, FAMILY, r"one\.yaml: size: 'smal'"),
        ({"family": "min", "id": "a/b"}, FAMILY, "no family named 'min'.*'mine'"),
        (
            {"family": "mine", "id": "a/b"},
            FAMILY + "rom_gib: 3\n",
            r"mine\.yaml: rom_gib: .*room_gib",
        ),
        (
            {"family": "mine", "id": "a/b"},
            FAMILY.replace("1.0", "heavy"),
            r"mine\.yaml: sizes\.small\.weights_gib: .*heavy",
        ),
        ({"family": "mine", "id": "a/b"}, "put: {}", "mine' carries no system"),
    ],
)
def test_a_mistake_is_said_with_its_file_and_path(
    tmp_path: Path, preset: dict[str, Any], family: str, words: str
) -> None:
    with pytest.raises(ConfError, match=words):
        made(tmp_path, preset, family)


def test_a_family_of_the_user_s_may_be_like_one_of_ours(tmp_path: Path) -> None:
    system = made(tmp_path, {"family": "mine", "id": "a/b"}, "like: vlm")
    assert system.answer.kwargs["chat"]["kwargs"]["model"] == "a/b"


@pytest.mark.parametrize(("group", "name"), PRESETS, ids=[f"{g} {n}" for g, n in PRESETS])
def test_a_preset_says_little_and_its_family_knows_its_size(group: str, name: str) -> None:
    text = Path("conf", group, f"{name}.yaml").read_text(encoding="utf-8")
    said = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(said) <= 16
    found = facts_of(group, name)
    assert found is not None
    facts, family = found
    if facts.card:
        assert facts.size in family.sizes
        size = family.sizes[facts.size]
        assert size.source, "say where the numbers were read"
        assert is_a_class(size.architecture)


def is_a_class(name: str) -> bool:
    """Whether vLLM, diffusers, transformers or our own readers of authors' code have it."""
    module, _, own = name.partition(":")
    if own:
        return own in libraries.own_classes(module)
    known = name in libraries.vllm_architectures() or libraries.is_pipeline(name)
    return known or libraries.is_transformers_class(name)


def test_every_number_of_a_family_has_a_source() -> None:
    for name in group_names("family"):
        body = yaml.safe_load(Path("conf", "family", f"{name}.yaml").read_text())
        for size, numbers in (body.get("sizes") or {}).items():
            assert numbers["source"], f"{name}, {size}"


def test_a_preset_named_twice_is_read_once(tmp_path: Path) -> None:
    both = load(None, [*BASE, "systems=[qwen3-vl-8b, qwen3-vl-8b+qwen-image-edit]"]).system
    alone, paired = both["qwen3-vl-8b"], both["qwen3-vl-8b+qwen-image-edit"]
    assert alone.answer == paired.answer
    assert paired.render is not None
    assert paired.render.kwargs["model"] == "Qwen/Qwen-Image-Edit"
