import socket
from collections import Counter

import numpy as np
import pytest

from medgen.adapters.mini.build import NOTES, build_mini
from medgen.adapters.mini.pictures import pictures
from medgen.adapters.sources.synthetic import SyntheticSource
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark, validate
from medgen.engine.benchmark.vocabulary import MODALITIES, TASKS
from medgen.engine.data import Sample
from medgen.engine.images import open_image
from medgen.engine.store.connect import connect


def test_it_is_whole_and_balanced(mini_samples: list[Sample]) -> None:
    assert len(mini_samples) == 144
    assert validate(build_mini()) == []
    assert Counter(s.task for s in mini_samples) == dict.fromkeys(TASKS, 8) | {
        "multiple-choice": 24
    }
    assert {s.modality for s in mini_samples} == set(MODALITIES)
    assert min(Counter(s.modality for s in mini_samples).values()) >= 12
    for task in TASKS:
        modalities = {s.modality for s in mini_samples if s.task == task}
        assert len(modalities) == (4 if "3d" in task else 6)


def test_no_letter_is_right_more_often_than_another(mini_samples: list[Sample]) -> None:
    asked = [s for s in mini_samples if s.task == "multiple-choice"]
    letters = Counter((s.reference_text or "")[0] for s in asked)
    assert letters == dict.fromkeys("ABCD", 6)
    questions = Counter((s.instruction.splitlines()[0].split(",")[0], s.modality) for s in asked)
    assert max(questions.values()) == 1
    which = {m for (q, m) in questions if q.startswith("Which kind of imaging")}
    assert which == set(MODALITIES)


def test_every_run_gives_the_same_bytes(mini_samples: list[Sample]) -> None:
    assert [item for item in build_mini() if isinstance(item, Sample)] == mini_samples


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert sum(map(len, pictures().values())) == 17


def test_pictures_are_small_png_and_not_empty(mini_samples: list[Sample]) -> None:
    for sample in mini_samples:
        for image in (*sample.input_images, *sample.reference_images):
            picture = open_image(image.data)
            assert picture.format == "PNG"
            assert 64 <= max(picture.size) <= 256
            assert np.ptp(np.asarray(picture)) > 20


def test_each_format_has_what_it_is_scored_by(mini_samples: list[Sample]) -> None:
    for sample in mini_samples:
        assert bool(sample.reference_text) == (sample.format != "ImageEditing")
        assert bool(sample.reference_images) == (sample.format != "VQA")
        assert sample.input_images
        assert sample.source


def test_pairs_differ_and_are_related(mini_samples: list[Sample]) -> None:
    for sample in mini_samples:
        if sample.format == "ImageEditing":
            before, after = (
                open_image(images[0].data)
                for images in (sample.input_images, sample.reference_images)
            )
            assert before.size == after.size
            assert before.tobytes() != after.tobytes()


def test_instructions_name_what_is_in_the_picture(mini_samples: list[Sample]) -> None:
    named = {part for group in pictures().values() for p in group for part in (p.part, p.about)}
    for sample in mini_samples:
        if sample.format != "VQA":
            assert any(name in sample.instruction for name in named)


def test_instructions_are_not_answers(mini_samples: list[Sample]) -> None:
    for sample in mini_samples:
        if sample.task == "blank-filling":
            assert sample.reference_text is not None
            assert sample.reference_text not in sample.instruction


def test_choices_hold_the_answer_once(mini_samples: list[Sample]) -> None:
    chosen = [s for s in mini_samples if s.task == "multiple-choice"]
    assert all(len(set(s.choices)) == 4 for s in chosen)
    assert all(s.choices.count(s.reference_text or "") == 1 for s in chosen)
    assert len({s.reference_text[0] for s in chosen if s.reference_text}) > 1


def test_several_pictures_and_objects_as_answers_occur(mini_samples: list[Sample]) -> None:
    vqa = [s for s in mini_samples if s.format == "VQA"]
    assert Counter(len(s.input_images) for s in vqa).keys() == {1, 2, 3}
    assert sum(isinstance(s.raw.get("answer"), dict) for s in vqa) == 6


def test_what_is_computed_says_so(mini_samples: list[Sample], memory_url: str) -> None:
    manifest = import_benchmark(build_mini(), connect(memory_url), ImportOptions("mini"))
    assert manifest.notes == NOTES
    assert all("synthetic" in p.about for p in pictures()["X-ray"])
    assert all("synthetic" in s.instruction for s in mini_samples if "3d" in s.task)


@pytest.mark.parametrize("images", [False, True])
def test_synthetic_samples_are_as_many_as_asked_for(images: bool, memory_url: str) -> None:
    source = SyntheticSource(100, seed=3, images=images)
    assert list(source) == list(SyntheticSource(100, seed=3, images=images))
    assert validate(source) == []
    manifest = import_benchmark(source, connect(memory_url), ImportOptions("synthetic"))
    assert manifest.samples == 100
    assert "without meaning" in manifest.notes[0]
    for item in source:
        assert isinstance(item, Sample)
        assert bool(item.input_images) == images
        assert all(open_image(image.data).size == (8, 8) for image in item.input_images)
