"""The second half of the published layouts; see `published.py`."""

import json
from typing import Any

from tables.fixtures import IN_WORDS, LETTERS, Layout, Row, encode, picture
from tables.published import below, cxr, spoil_answer


def _raw(*present: int) -> Any:
    return lambda number: picture(number) if number in present else None


def _spoil_flags(row: Row) -> None:
    row["labels"] = "0,1"


def _mmxu(prior: Any) -> dict[str, Any]:
    return {
        "cur_image_path": lambda n: f"/{cxr(n)}",
        "prior_image_path": prior,
    }


_QA = ("index", "question", "A", "B", "C", "D", "answer", "modality", "image")
_DESCRIBED = ("index", "question", "modality", "image", "description")
_RARE = {
    "image": lambda n: [encode(n), encode(n + 50)],
    "context": lambda n: "" if n == 1 else f"record {n}",
    "answer_aliases": lambda n: [] if n == 2 else [f"alias {n}"],
    "figure_mapping": lambda n: {"Figure 1:": "a.jpg", "Figure 2:": "b.jpg"},
    "image_path": lambda n: ["a.jpg", "b.jpg"],
}
_COUNTRY = {"correct_option": lambda n: LETTERS[n % 4]}

LAYOUTS: dict[str, Layout] = {
    "mdi-benchmark": Layout(
        "MDI-Benchmark",
        "testmini.json",
        values={
            "key": lambda n: f"level{1 + n % 2}-architecture-{['old', 'young'][n % 2]}",
            "image_path": lambda n: f"pictures/{n}",
            "option": lambda n: f"A.{n}; B.{n + 1}; C.more; D.none",
        },
        pictures=lambda row, n: [f"{row['image_path']}.png"],
    ),
    "medbookvqa": Layout(
        "MedBookVQA",
        "data.json",
        archive="figures.zip",
        values={
            "Distractors": lambda n: [f"wrong {n}", "other", "last"],
            "correct_choice": lambda n: LETTERS[n % 4],
            "other_choices": lambda n: [x for x in "ABCD" if x != LETTERS[n % 4]],
            "image_path": lambda n: f"./figures/{n}.jpg",
            "LABEL": lambda n: {
                "Modality": ["CT"],
                "Anatomy": ["Chest"],
                "Department": ["Surgery", "Emergency"],
            },
        },
        pictures=lambda row, n: [f"figures/{n}.jpg"],
    ),
    "medfmc": Layout(
        "MedFMC",
        "ChestDR/test_WithLabel.txt",
        delimiter=" ",
        columns=("image", "labels"),
        values={
            "image": lambda n: f"{n}.png",
            "labels": lambda n: ",".join("1" if k in (n, 18) and n else "0" for k in range(19)),
        },
        pictures=lambda row, n: [f"ChestDR/images/{n}.png"],
    ),
    "medfmc-colonpath": Layout(
        "MedFMC",
        "ColonPath/test_WithLabel.txt",
        delimiter=" ",
        columns=("image", "labels"),
        values={"image": lambda n: f"{n}.png", "labels": lambda n: n % 2},
        pictures=lambda row, n: [f"ColonPath/images/{n}.png"],
    ),
    "medframeqa": Layout(
        "MedFrameQA",
        "data/test-00000-of-00001.parquet",
        values={
            f"image_{k}": (
                lambda n, k=k: {"bytes": picture(n + k), "path": None} if k < 3 or n == 2 else None
            )
            for k in range(1, 6)
        },
    ),
    "medianomaly": Layout(
        "MedIAnomaly",
        "RSNA/data.json",
        columns=("names",),
        values={"names": lambda n: f"{n}.png"},
        shape=lambda rows: {
            "train": {"0": ["t.png"]},
            "test": {
                "0": [row["names"] for row in rows[:3]],
                "1": [row["names"] for row in rows[3:]],
            },
        },
        pictures=lambda row, n: [f"RSNA/images/{n}.png"],
    ),
    "medq-perception": Layout(
        "MedQ-Perception",
        "medqbench_QA_test.tsv",
        columns=_QA,
    ),
    "medq-reasoning": Layout(
        "MedQ-Reasoning",
        "medqbench_description_test.tsv",
        columns=_DESCRIBED,
    ),
    "medq-bench": Layout(
        "MedQ-Bench",
        "medqbench_QA_test.tsv",
        columns=_QA,
        items=10,
        others=(Layout("MedQ-Bench", "medqbench_description_test.tsv", columns=_DESCRIBED),),
    ),
    "medsg-bench": Layout(
        "MedSG-Bench",
        "bench.parquet",
        columns=(
            "split",
            "task",
            "question",
            "answer_xyxy",
            "images_json",
            "num_images",
            *(f"image_bytes_{k}" for k in range(1, 7)),
        ),
        values={
            "answer_xyxy": lambda n: [1, 2, 10 + n, 12],
            "num_images": lambda n: 2 + (n == 3),
            **{
                f"image_bytes_{k}": _raw(*([0, 1, 2, 3, 4] if k < 3 else [3] if k == 3 else []))
                for k in range(1, 7)
            },
        },
        spoil=lambda row: row.update(image_bytes_1=b"no picture"),
    ),
    "mimic-cxr-vqa": Layout(
        "MIMIC-CXR-VQA",
        "mimiccxrvqa/dataset/test.json",
        values={
            "semantic_type": lambda n: ["verify", "choose", "query", "verify", "query"][n],
            "answer": lambda n: [["yes"], ["left"], ["a", "b"], ["no"], []][n],
            "image_path": lambda n: cxr(n).removeprefix("files/"),
            "subject_id": lambda n: f"p1000{n}",
        },
        pictures=lambda row, n: [cxr(n)],
    ),
    "mmgenbench-test": Layout("MMGenBench-Test", "MMGenBench-Test.tsv", columns=("index", "image")),
    "mmgenbench-domain": Layout(
        "MMGenBench-Domain", "MMGenBench-Domain.tsv", columns=("index", "image")
    ),
    "mmoral-closed": Layout(
        "MMOral-Bench",
        "MMOral-OPG-Bench-Closed-Ended.tsv",
        values={"answer": lambda n: LETTERS[n % 4]},
    ),
    "mmoral-open": Layout(
        "MMOral-Bench",
        "MMOral-OPG-Bench-Open-Ended.tsv",
        columns=("index", "image", "question", "answer", "category"),
    ),
    "mmr": Layout("MMR", "data/test-00000-of-00001.parquet"),
    "mmrarebench": Layout(
        "MMRareBench",
        "diagnosis/diagnosis_opened.tsv",
        values=_RARE,
        items=20,
        others=tuple(
            Layout("MMRareBench", name, values=_RARE)
            for name in (
                "treatment/treatment_plan.tsv",
                "crossmodal/crossmodal_comparison.tsv",
                "examination/examination_workup.tsv",
            )
        ),
    ),
    "mmxu-test": Layout(
        "MMXU-test",
        "MMXU-test.jsonl",
        values=_mmxu(lambda n: f"/{cxr(n + 5)}"),
        pictures=lambda row, n: [cxr(n), cxr(n + 5)],
    ),
    "mmxu": Layout(
        "MMXU",
        "MMXU-test.jsonl",
        values=_mmxu(lambda n: f"/{cxr(n + 5)}"),
        pictures=lambda row, n: [cxr(n), cxr(n + 5)],
    ),
    "mmxu-dev": Layout(
        "MMXU-dev",
        "MMXU-dev.jsonl",
        values=_mmxu(lambda n: [f"/{cxr(n + 5)}", f"/{cxr(n + 6)}"]),
        pictures=lambda row, n: [cxr(n), cxr(n + 5), cxr(n + 6)],
    ),
    "omnibrainbench-closed": Layout(
        "OmniBrainBench",
        "closed-ended-qa_6823.json",
        values={
            "answer": lambda n: f"options {n} second",
            "image_path": lambda n: f"{n}.png" if n % 2 else [f"{n}.png", "0.png"],
        },
        pictures=lambda row, n: [f"closed-ended-qa_6823/{n}.png"],
    ),
    "omnibrainbench-open": Layout(
        "OmniBrainBench",
        "open-ended-qa_2704.json",
        columns=("question", "answer", "image_path", "source_file"),
        values={"image_path": lambda n: [f"{n}.png"]},
        pictures=lambda row, n: [f"open-ended-qa_2704/{n}.png"],
    ),
    "pathmmu": Layout(
        "PathMMU",
        "data.json",
        values={
            "options": lambda n: [f"A) nerve {n}", "B) gland", "C) vessel"],
            "answer": lambda n: f"A) nerve {n}",
            "img": lambda n: f"{n}.jpg",
        },
        shape=lambda rows: {
            "PubMed": {"val": [], "test": rows[:3], "test_tiny": rows[:1]},
            "Atlas": {"test": rows[3:]},
        },
        pictures=lambda row, n: [f"images/{n}.jpg"],
    ),
    "pet2rep": Layout(
        "PET2Rep",
        "bench.jsonl",
        values={
            "prompt_image_fuse": lambda n: [f"p{n}/1.jpg", f"p{n}/2.jpg"],
            "prompt_user_text": lambda n: f"看 <image> <image> {n}",
        },
        pictures=below("", "prompt_image_fuse"),
    ),
    "rexvqa": Layout(
        "ReXVQA",
        "metadata/test_vqa_data.json",
        archive="deid_png.part",
        shape=lambda rows: {f"q{n}": row for n, row in enumerate(rows)},
        values={
            "options": lambda n: [f"A. none {n}", "B. left", "C. right", "D. both"],
            "ImagePath": lambda n: [f"../deid_png/{n}/1.png", f"../deid_png/{n}/2.png"][
                : 1 + n % 2
            ],
            "ImageModality": lambda n: ["DX", "CR"][: 1 + n % 2],
            "PatientAge": lambda n: f"0{10 + 20 * n}Y"[-4:],
        },
        pictures=lambda row, n: [name.removeprefix("../") for name in row["ImagePath"]],
    ),
    "temmed-bench": Layout(
        "TemMed-Bench",
        "TestSet_VQA_ReportGeneration.json",
        items=10,
        columns=("image_path", "historical_image_path", "condition_changes_report", "VQA_Final"),
        values={
            "image_path": lambda n: f"valid/{n}/now.jpg",
            "historical_image_path": lambda n: f"valid/{n}/then.jpg",
            "VQA_Final": lambda n: [
                {"VQA_question": f"worse {n}?", "VQA_answer": "Yes"},
                {"VQA_question": "new?", "VQA_answer": "no"},
            ],
        },
        pictures=lambda row, n: [f"valid/{n}/now.png", f"valid/{n}/then.png"],
    ),
    "temmed-bench-report": Layout(
        "TemMed-Bench",
        "TestSet_VQA_ReportGeneration.json",
        columns=("image_path", "historical_image_path", "condition_changes_report", "VQA_Final"),
        values={
            "image_path": lambda n: f"valid/{n}/now.jpg",
            "historical_image_path": lambda n: f"valid/{n}/then.jpg",
        },
        pictures=lambda row, n: [f"valid/{n}/now.png", f"valid/{n}/then.png"],
    ),
    "ver-bench": Layout(
        "VER-Bench",
        "Annotation/sa_{n}.json",
        columns=("question", "answer", "visual_clues"),
        values={
            "question": lambda n: ["one?", "two?"] if n == 3 else "one?",
            "answer": lambda n: ["a", "b"] if n == 3 else "a",
        },
        pictures=lambda row, n: [f"Image/sa_{n}.jpg"],
        spoil=spoil_answer("answer", ""),
    ),
    "worldmedqa-v": Layout("WorldMedQA-V", "brazil_english.tsv", values=_COUNTRY),
    "brset": Layout(
        "BRSET",
        "labels.csv",
        columns=("image_id", "patient_age", "patient_sex", "camera", *IN_WORDS["BRSET"]),
        values={
            "patient_sex": lambda n: 1 + n % 2,
            **{x: (lambda n, k=k: int(n == k)) for k, x in enumerate(IN_WORDS["BRSET"], 1)},
        },
        pictures=lambda row, n: [f"fundus_photos/{row['image_id']}.jpg"],
    ),
    "chestx-ray14": Layout(
        "ChestX-ray14",
        "Data_Entry_2017.csv",
        values={
            "Image Index": lambda n: f"{n:08d}_000.png",
            "Patient Age": lambda n: [5, 90, 40, 18, 64][n],
            "Finding Labels": lambda n: ["No Finding", "Mass|Nodule", "Hernia", "Edema", "Mass"][n],
        },
        pictures=lambda row, n: [f"images/{row['Image Index']}"],
    ),
    "chexpert": Layout(
        "CheXpert",
        "valid.csv",
        columns=("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *IN_WORDS["CheXpert"]),
        values={
            **{
                x: (lambda n, k=k: ["", "1.0", "0.0", "-1.0"][(n + k) % 4] if n else "")
                for k, x in enumerate(IN_WORDS["CheXpert"])
            },
            "Path": lambda n: f"CheXpert-v1.0/valid/patient{n}/study1/view1.jpg",
        },
        pictures=lambda row, n: [row["Path"]],
    ),
    "medmax": Layout(
        "MedMax",
        "eval.jsonl",
        archive="images.zip",
        values={
            "question_type": lambda n: "closed" if n == 1 else "open",
            "image_path": lambda n: f"images/{n}.jpg",
        },
        pictures=lambda row, n: [row["image_path"]],
    ),
    "medsynvqa": Layout(
        "MedSynVQA",
        "data/train-00000-of-00001.parquet",
        values={"options": lambda n: json.dumps({"A": "lung", "B": f"liver {n}"})},
    ),
    "mmade": Layout(
        "MMADE",
        "adr_test.csv",
        archive="ADR_test.zip",
        values={"Image": lambda n: f"{n}.jpg"},
        pictures=lambda row, n: [row["Image"]],
    ),
    "pathgen": Layout(
        "PathGen",
        "bench.json",
        values={"position": lambda n: [str(n), "7"]},
        pictures=lambda row, n: [f"patches/{row['wsi_id']}_{n}_7.png"],
    ),
}
