"""Where the rows of every benchmark stand, and which of their values belong together."""

from typing import Any

from tables.fixtures import LETTERS, Layout, Row, encode, picture

_CXR = "files/p10/p1000{n}/s5000{n}/{n}.jpg"


def cxr(number: int) -> str:
    return _CXR.format(n=number)


def _keyed(rows: list[Row]) -> dict[str, Row]:
    return {f"study{number}": row for number, row in enumerate(rows)}


def _struct(number: int) -> dict[str, Any]:
    return {"bytes": picture(number, "JPEG"), "path": None}


def _some(*present: int) -> Any:
    return lambda number: _struct(number) if number in present else None


_REXRANK = (
    "image_path", "key_image_path", "context", "section_findings", "section_impression",
    "report", "frontal_lateral", "split",
)  # fmt: skip


def _rexrank(**more: Any) -> dict[str, Any]:
    return {
        "image_path": lambda n: [f"s{n}/0.png", f"s{n}/1.png"][: 1 + n % 2],
        "frontal_lateral": lambda n: ["Frontal", "Lateral"][: 1 + n % 2],
        "section_findings": lambda n: float("nan") if n == 1 else f"clear {n}",
        **more,
    }


def below(folder: str, column: str = "image_path") -> Any:
    return lambda row, n: [f"{folder}{name}" for name in row[column]]


def spoil_answer(column: str, wrong: object = "Z") -> Any:
    def spoil(row: Row) -> None:
        row[column] = wrong

    return spoil


LAYOUTS: dict[str, Layout] = {
    "vqa-rad": Layout(
        "VQA-RAD",
        "data/test-00000-of-00001-abc.parquet",
        values={"answer": lambda n: ["Yes", "no", "a mass", "3", " yes "][n]},
    ),
    "path-vqa": Layout(
        "PathVQA",
        "data/test-00000-of-00003-abc.parquet",
        values={"answer": lambda n: ["yes", "No", "bile duct", "4", "no"][n]},
    ),
    "slake": Layout(
        "SLAKE",
        "test.json",
        archive="imgs.zip",
        values={
            "img_name": lambda n: f"xmlab{n // 2}/source.jpg",
            "q_lang": lambda n: "zh" if n == 3 else "en",
            "question": lambda n: "图中有什么?" if n == 3 else f"What is it, {n}?",
            "answer_type": lambda n: "CLOSED" if n == 1 else "OPEN",
            "modality": lambda n: ["CT", "MRI", "X-Ray", "MRI", "CT"][n],
        },
        pictures=lambda row, n: [f"imgs/{row['img_name']}"],
    ),
    "pmc-vqa": Layout(
        "PMC-VQA",
        "test_clean.csv",
        archive="images.zip",
        columns=(
            "Figure_path",
            "Question",
            "Answer",
            "Choice A",
            "Choice B",
            "Choice C",
            "Choice D",
            "Answer_label",
        ),
        values={
            "Figure_path": lambda n: f"PMC{n}_F1.jpg",
            "Question": lambda n: f" What is {n}? ",
            **{f"Choice {x}": (lambda n, x=x: f" {x}: option {x.lower()}{n} ") for x in "ABCD"},
        },
        pictures=lambda row, n: [f"images/{row['Figure_path']}"],
    ),
    "omnimedvqa": Layout(
        "OmniMedVQA",
        "QA_information/Open-access/Set.json",
        values={
            "option_D": lambda n: "" if n == 1 else f"option_D {n}",
            "gt_answer": lambda n: f"option_B {n}",
            "image_path": lambda n: f"Images/Set/{n}.png",
        },
        pictures=lambda row, n: [row["image_path"]],
    ),
    "mmmu-health": Layout(
        "MMMU Health & Medicine",
        "Pharmacy/validation-00000-of-00001.parquet",
        values={
            "question": lambda n: f"Compare <image 1> and <image 2>, {n}?",
            "question_type": lambda n: "open" if n == 4 else "multiple-choice",
            "options": lambda n: "[]" if n == 4 else str([f"one {n}", f"it's {n}", "other"]),
            "answer": lambda n: "['2', 'two']" if n == 4 else LETTERS[n % 3],
            "img_type": lambda n: "['MRI', 'CT']",
            "image_2": _some(0, 3),
            **{f"image_{k}": _some() for k in (3, 4, 5, 6)},
            "image_7": _some(4),
        },
    ),
    "gmai-mmbench": Layout(
        "GMAI-MMBench",
        "GMAI-MMBench_VAL.tsv",
        columns=("index", "image", "question", "A", "B", "C", "D", "E", "answer", "category"),
        values={"E": lambda n: "" if n else "the last", "D": lambda n: "" if n == 3 else f"D {n}"},
    ),
    "medxpertqa-mm": Layout(
        "MedXpertQA MM",
        "MM/test.jsonl",
        archive="images.zip",
        values={
            "question": lambda n: f"What now, {n}?\nAnswer Choices: (A) one (B) two",
            "images": lambda n: [f"MM-{n}-a.jpeg", f"MM-{n}-b.jpeg"][: 1 + n % 2],
        },
        pictures=lambda row, n: [f"images/{name}" for name in row["images"]],
    ),
    "medxpertqa": Layout(
        "MedXpertQA",
        "Text/test.jsonl",
        columns=(
            "id",
            "question",
            "options",
            "label",
            "medical_task",
            "body_system",
            "question_type",
        ),
        spoil=spoil_answer("label"),
    ),
    "iu-xray": Layout(
        "ReXrank",
        "ReXRank_IUXray_test.json",
        columns=_REXRANK,
        values=_rexrank(),
        shape=_keyed,
        pictures=below("images/"),
    ),
    "iu-xray-296": Layout(
        "IU-Xray",
        "test.json",
        values={"image": lambda n: [f"CXR{n}/0.png", f"CXR{n}/1.png"]},
        pictures=below("images/", "image"),
    ),
    "rexrank": Layout(
        "ReXrank",
        "ReXRank_IUXray_test.json",
        columns=_REXRANK,
        values=_rexrank(),
        shape=_keyed,
        pictures=below("images/"),
    ),
    "mimic-cxr": Layout(
        "MIMIC-CXR",
        "ReXRank_MIMICCXR_test.json",
        columns=(*_REXRANK, "subject_id"),
        shape=_keyed,
        values=_rexrank(image_path=lambda n: [f"/{cxr(n)}"], frontal_lateral=lambda n: ["Frontal"]),
        pictures=lambda row, n: [cxr(n)],
    ),
    "mimic-cxr-jpg": Layout(
        "MIMIC-CXR-JPG",
        "ReXRank_MIMICCXR_test.json",
        columns=(*_REXRANK, "subject_id"),
        shape=_keyed,
        values=_rexrank(image_path=lambda n: [f"/{cxr(n)}"], frontal_lateral=lambda n: ["Frontal"]),
        pictures=lambda row, n: [cxr(n)],
    ),
    "chexpert-plus": Layout(
        "CheXpert Plus",
        "ReXRank_CheXpertPlus.json",
        shape=_keyed,
        columns=(*_REXRANK, "age", "sex", "race", "ethnicity"),
        values=_rexrank(age=lambda n: 17 + 20 * n),
        pictures=below("PNG/"),
    ),
    "chexgenbench": Layout(
        "CheXGenBench",
        "LLAVARAD_ANNOTATIONS_TEST.csv",
        items=4,
        values={
            "path": cxr,
            "annotated_prompt": lambda n: "the same" if n in (0, 4) else f"prompt {n}",
            "chexpert_labels": lambda n: "{'Edema': 1.0, 'Fracture': nan, 'Pneumonia': 0}",
        },
        pictures=lambda row, n: [row["path"]],
    ),
    "medebench": Layout(
        "MedEBench",
        "editing/editing_metadata.json",
        shape=lambda rows: {"samples": rows},
        values={
            name: (lambda n, part=part: f"editing/{part}/{n}.png")
            for name, part in (
                ("previous_image", "previous"),
                ("changed_image", "changed"),
                ("previous_mask", "previous_mask"),
            )
        },
        pictures=lambda row, n: [row["previous_image"], row["changed_image"], row["previous_mask"]],
    ),
    "mediconfusion": Layout(
        "MediConfusion",
        "data/dataset.json",
        shape=_keyed,
        items=10,
        values={
            "im_1_local": lambda n: n,
            "im_2_local": lambda n: n + 1,
            "im_1_correct": lambda n: "A",
            "im_2_correct": lambda n: "B",
        },
        pictures=lambda row, n: [f"data/images/{n}.jpg", f"data/images/{n + 1}.jpg"],
        spoil=spoil_answer("im_1_correct"),
    ),
    "mirp": Layout(
        "MIRP",
        "RQ1/qa.json",
        columns=("filename", "question_answer"),
        items=10,
        values={
            "filename": lambda n: f"{n}.png",
            "question_answer": lambda n: [
                {"question": f"left {n} {k}?", "answer": k, "object1_name": "liver"} for k in (0, 1)
            ],
        },
        pictures=lambda row, n: [f"RQ1/images/{row['filename']}"],
    ),
    "smmile": Layout(
        "SMMILE",
        "data/train-00000-of-00001.parquet",
        items=2,
        values={"problem_id": lambda n: f"p{n % 2}", "order": lambda n: 9 - n},
    ),
    "smmile-plusplus": Layout(
        "SMMILE++",
        "data/train-00000-of-00001.parquet",
        items=2,
        values={"problem_id": lambda n: f"p{n % 2}", "order": lambda n: n},
    ),
    "med-rewardbench": Layout(
        "Med-RewardBench",
        "pair_gt_all/parquet/abdomen.parquet",
        items=30,
        columns=("question_id", "image", "question", "answer1_text", "answer2_text"),
        beside=(
            "pair_gt_all/abdomen.jsonl",
            lambda n: {
                "question_id": f"question_id {n}",
                "human_answer": dict.fromkeys(
                    (
                        "accuracy",
                        "relevance",
                        "comprehensiveness",
                        "creativity",
                        "responsiveness",
                        "overall",
                    ),
                    "AB"[n % 2],
                ),
            },
        ),
    ),
    "camel-bench": Layout(
        "CAMEL-Bench",
        "data/train-00000-of-00001.parquet",
        columns=("question", "options", "answer", "image"),
        values={
            "options": lambda n: f"['قلب {n}'، 'رئة {n}'، 'كبد']",
            "answer": lambda n: "أب"[n % 2],
        },
    ),
    "camel-bench-mmt": Layout(
        "CAMEL-Bench",
        "data/train-00000-of-00001.parquet",
        columns=("question", *LETTERS, "answer", *(f"image_{k}" for k in range(9))),
        values={
            "answer": lambda n: LETTERS[n % 2],
            **dict.fromkeys("EFGHI", lambda n: ""),
            **{f"image_{k}": _some(*([0, 1, 2, 3, 4] if k == 0 else [3])) for k in range(9)},
        },
    ),
    "chexbench": Layout(
        "CheXbench",
        "data.json",
        shape=lambda rows: {"View Classification": rows[:3], "Findings Generation": rows[3:]},
        values={
            "image_path": lambda n: [f"data/{n}.jpg"] if n == 2 else f"data/{n}.jpg",
            "option_3": lambda n: float("nan"),
            "answer": lambda n: n % 3,
            "section_findings": lambda n: "" if n < 3 else f"clear {n}",
        },
        pictures=lambda row, n: [f"data/{n}.jpg"],
    ),
    "deeptumorvqa": Layout(
        "DeepTumorVQA",
        "benchmark/test-00000-of-00001.parquet",
        values={
            "mc_question": lambda n: f"How many, {n}? A: none B: one C: two D: more",
            "age": lambda n: None if n == 1 else 20.0 * n,
        },
        pictures=lambda row, n: [f"benchmark/images_2d/whole/{row['image_id']}.png"],
        spoil=spoil_answer("correct_option"),
    ),
    "genai-bench": Layout(
        "GenAI-Bench",
        "image_generation/test_v1-00000-of-00001.parquet",
        columns=("prompt", "left_image", "right_image", "vote"),
        values={
            "vote": lambda n: ["leftvote", "rightvote", "tievote", "bothbad_vote", "leftvote"][n]
        },
    ),
    "genai-bench-edit": Layout(
        "GenAI-Bench",
        "image_edition/test_v1-00000-of-00001.parquet",
        columns=(
            "source_prompt",
            "target_prompt",
            "instruct_prompt",
            "source_image",
            "left_output_image",
            "right_output_image",
            "vote",
        ),
        values={
            "vote": lambda n: ["leftvote", "rightvote", "tievote", "bothbad_vote", "leftvote"][n]
        },
    ),
    "jama-clinical-challenge": Layout(
        "JAMA Clinical Challenge", "jama_links.json", spoil=spoil_answer("answer_idx")
    ),
    "kormedmcqa-v": Layout(
        "KorMedMCQA-V",
        "doctor/test_full-00000-of-00001.parquet",
        values={
            "images": lambda n: [
                {"pic_num": str(k), "modality": "CT", "image_base64": encode(9 * n + k)}
                for k in range(1 + n % 2)
            ],
            "answer": lambda n: n + 1,
            **{x: (lambda n, x=x: f"보기 {x}{n}") for x in "ABCDE"},
        },
        spoil=lambda row: row.update(answer=6),
    ),
}
