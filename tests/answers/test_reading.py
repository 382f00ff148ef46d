"""What a reply says: the stated answer wins, and nothing is guessed."""

import time

import pytest
from answers.cases import ANSWERS, BLANKS, BLOOD, CHOICES, FINDINGS, REFUSALS, YES_NO
from hypothesis import given
from hypothesis import strategies as st

from medgen.engine.answers.choice import read_choice, read_reference
from medgen.engine.answers.closed import is_right, read_answer, reference_fault
from medgen.engine.answers.forms import canonical
from medgen.engine.answers.markup import without_tags
from medgen.engine.answers.options import options_in, options_of
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.answers.refusals import is_refusal

BARE = ("Pneumothorax", "Pleural effusion", "Mass")


@pytest.mark.parametrize(("reply", "choices", "want"), CHOICES)
def test_a_choice(reply: str, choices: tuple[str, ...], want: str | None) -> None:
    assert read_choice(reply, choices).answer == want


@pytest.mark.parametrize(("reply", "reference", "want"), BLANKS)
def test_blanks(reply: str, reference: str, want: bool | None) -> None:
    found = is_right(reply, reference, (), "blank-filling")
    assert (found if isinstance(found, bool) else None) is want


@pytest.mark.parametrize("reply", REFUSALS)
def test_what_declines_and_answers_nothing_is_a_refusal(reply: str) -> None:
    assert is_refusal(reply)


@pytest.mark.parametrize("reply", ANSWERS)
def test_a_disclaimer_beside_an_answer_is_an_answer(reply: str) -> None:
    assert not is_refusal(reply)


@pytest.mark.parametrize(
    ("reply", "task", "want"),
    [
        ("I cannot provide a definitive diagnosis, but the answer is B.", "multiple-choice", False),
        ("I can't help with that. B", "multiple-choice", False),
        ("I cannot provide a diagnosis, the answer is B", "multiple-choice", False),
        ("B. I can't provide advice.", "multiple-choice", False),
        ("I'm sorry, I can't assist with identifying pleural effusion.", "multiple-choice", True),
        ("I'm unable to help. The image is of a chest.", "multiple-choice", True),
        ("I cannot provide advice, but the answer is pneumonia.", "blank-filling", False),
        ("I can't help with that.", "blank-filling", True),
    ],
)
def test_of_a_closed_question_the_answer_decides(reply: str, task: str, want: bool) -> None:
    assert is_refusal(reply, task, FINDINGS) is want


@pytest.mark.parametrize(
    ("reply", "thought", "answer"),
    [
        ("plain", "", "plain"),
        ("<think>a</think>B", "a", "B"),
        ("<think>a</think><answer>B</answer>", "a", "B"),
        ("<think>a</think><answer><|begin_of_box|>B<|end_of_box|></answer>", "a", "B"),
        ("a</think>B", "a", "B"),
        ("<unused94>thought a<unused95>B", "thought a", "B"),
        ("a <answer>B</answer>", "", "B"),
        ("◁think▷a◁/think▷B", "a", "B"),
        ("[THINK]a[/THINK]B", "a", "B"),
        ("<think>Maybe A, because", "Maybe A, because", ""),
        ("<think>a</think>b</think>C", "ab", "C"),
        ("<think>a</think>B</think>", "aB", "B"),
        ("<think>a</think>", "a", ""),
        ("a</think>", "a", ""),
        ("B\n<think>sure?</think>", "sure?", "B"),
        ("B<think>never", "never", "B"),
        ("<think>x</think>B<think>y</think>", "xy", "B"),
        ("<think>a <think>b</think> c</think> D", "a b c", "D"),
        ("<THINKING>x</THINKING>\n\nB", "x", "B"),
        ("<answer>B", "", "B"),
        ("<answer>A</answer> wait <answer>B</answer>", "", "A\nB"),
        ("<answer>B</answer> and <answer>B</answer>", "", "B"),
        ("<|channel|>analysis<|message|>hm<|channel|>final<|message|>B<|return|>", "hm", "B"),
        ("B<|im_end|>", "", "B"),
        ("p < 0.05 </s>", "", "p < 0.05"),
    ],
)
def test_thoughts_are_no_answer(reply: str, thought: str, answer: str) -> None:
    found = part_thoughts(reply)
    assert (found.thought, found.answer) == (thought, answer)


@pytest.mark.parametrize(
    ("reference", "choices", "want"),
    [
        ("B", FINDINGS, "b"),
        ("b", FINDINGS, "b"),
        ("(B)", FINDINGS, "b"),
        ("B. Pleural effusion", FINDINGS, "b"),
        ("B) pleural  effusion.", FINDINGS, "b"),
        ("Pleural effusion", FINDINGS, "b"),
        ("Pleural effusion", BARE, "b"),
        ("B", BARE, "b"),
        ("B", BLOOD, "c"),  # bare options: a word of theirs before a letter of ours
        ("D", BLOOD, "d"),
        ("E", FINDINGS, None),
        ("Effusion", FINDINGS, None),
        ("A, C", FINDINGS, None),
        ("B. Mass", FINDINGS, None),
        ("Option B", FINDINGS, "b"),
        ("Answer: B", FINDINGS, "b"),
        ("The answer is B", FINDINGS, "b"),
        ("The correct answer is: B. Pleural effusion", FINDINGS, "b"),
        ("\\boxed{B}", FINDINGS, "b"),
        ("<b>B</b>", FINDINGS, "b"),
        ("Option B or C", FINDINGS, None),
        ("The answer is not B", FINDINGS, None),
        ("II", ("A. Grade I", "B. Grade II"), "b"),
        ("1.5 cm", ("1.5 cm", "2.5 cm"), "a"),
        ("", FINDINGS, None),
        ("no", YES_NO, "b"),
        ("B", (), "b"),
    ],
)
def test_a_reference(reference: str, choices: tuple[str, ...], want: str | None) -> None:
    assert read_reference(reference, choices).answer == want
    assert bool(reference_fault(reference, choices, "multiple-choice")) == (want is None)


@pytest.mark.parametrize(
    ("reply", "reference", "choices", "want"),
    [
        ("B", "Pleural effusion", BARE, True),
        ("C", "Pleural effusion", BARE, False),
        ("C", "B", ("A. O", "B. A", "C. B", "D. AB"), False),
        ("A", "A. O", ("A. O", "B. A", "C. B", "D. AB"), True),
        ("C", "B", BLOOD, True),
        ("The answer is B.", "B", (), True),
        ("A", "B", (), False),
        ("pleural effusion", "Pleural effusion", (), True),
        ("No, the heart is not enlarged.", "B", YES_NO, True),
    ],
)
def test_reply_beside_reference(
    reply: str, reference: str, choices: tuple[str, ...], want: bool
) -> None:
    assert is_right(reply, reference, choices, "multiple-choice") is want


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Which?\nOptions: A. cyst\nB. mass", ("A. cyst", "B. mass")),
        ("Which? A. cyst B. mass C. stone", ("A. cyst", "B. mass", "C. stone")),
        ("Vitamin A. Options: A. x B. y", ("A. x", "B. y")),
        ("Q (A) cyst, (B) mass, or (C) stone", ("(A) cyst", "(B) mass", "(C) stone")),
        ("A) cyst; B) vitamin A. C) x", ("A) cyst", "B) vitamin A.", "C) x")),
        ("J. A. Smith. A. cyst\nB. mass\nPlease explain.", ("A. cyst", "B. mass")),
        ("a) cyst b) mass", ("a) cyst", "b) mass")),
        ("Which?\n1. cyst\n2. mass", ("1. cyst", "2. mass")),
        ("Which?\nA. 1.5 cm\nB. 2.5 cm", ("A. 1.5 cm", "B. 2.5 cm")),
        ("A.cyst B.mass", ("A.cyst", "B.mass")),
        ("A: x B: y", ("A: x", "B: y")),
        ("Options: A. cyst of the\nkidney\nB. mass", ("A. cyst of the kidney", "B. mass")),
        ("Is A. coli here?", ()),
        ("Is vitamin A. or B. better?", ()),
        ("Take 2 pills, 1. then 2. again", ()),
        ("Which?\nA. one\nC. three", ()),
        ("Which?\n1.5 cm\n2.5 cm", ()),
    ],
)
def test_options_in_a_question(question: str, options: tuple[str, ...]) -> None:
    assert options_in(question) == options


@pytest.mark.parametrize(
    "choices",
    [
        *(("A. cyst", "B. mass"), ("(A) cyst", "(B) mass"), ("A.cyst", "B.mass"), ("A", "B", "C")),
        *(("1. a", "2. b"), ("i. a", "ii. b"), ("A: cyst", "B: mass"), ("A - cyst", "B - mass")),
        *(("أ. x", "ب. y"), ("甲、x", "乙、y"), ("a) x", "b) y")),
        *(("Option A: cyst", "Option B: mass"), ("A. A. cyst", "B. B. mass")),
    ],
)
def test_options_with_labels_keep_them(choices: tuple[str, ...]) -> None:
    options = options_of(choices)
    assert options.labelled
    assert all(not o.words.startswith(o.label) for o in options.each)


@pytest.mark.parametrize(
    "choices",
    [
        *(("CT", "MRI"), ("yes", "no"), ("O", "A", "B", "AB"), ("3", "1"), ("-5", "5")),
        *(("1.5 cm", "2.5 cm"), ("1:2", "2:1"), ("0.5", "1.5"), ("A cyst", "B mass")),
        ("S. aureus", "E. coli", "C. difficile"),
    ],
)
def test_bare_options_are_lettered_in_their_order(choices: tuple[str, ...]) -> None:
    shown = options_of(choices).lines()
    assert shown == [f"{'ABCD'[i]}. {choice}" for i, choice in enumerate(choices)]


SAME = [
    ("Crohn’s disease", "Crohn's  DISEASE."),
    ("T2‑weighted", "T2-weighted"),
    ("T2–weighted", "T2-weighted"),
    ("10 m²", "10 m^2"),
    ("10 m²", "10m2"),
    ("10⁵", "10^5"),
    ("10⁵", "100,000"),
    ("1×10⁵", "1e5"),
    ("1 x 10^5", "10**5"),
    ("-5", "−5"),
    ("+5", "5.0"),
    ("5 mm", "5mm"),
    ("5 millimeters", "5.0 mm"),
    ("3-5", "3–5"),
    ("50%", "50 percent"),
    ("37°C", "37 ℃"),
    ("5 µm", "5 μm"),
    ("5 um", "5 μm"),
    ("<5", "< 5"),
    ("≤5", "<=5"),
    (".5", "0.5"),
    ("ﬁbrosis", "fibrosis"),
    ("Ｂ", "b."),
    ("CO₂", "CO2"),
    ("120/80 mmHg", "120/80mmHg"),
    ("2 x 3 cm", "2×3 cm"),
    ("10⁻³", "0.001"),
    ("Ménière", "Me\u0301nie\u0300re"),
]
DIFFERENT = [
    *(("5", "-5"), ("105", "10⁵"), ("5 mm", "5 cm"), ("5", "5 mm"), ("<5", ">5"), ("<5", "5")),
    *(("3-5", "35"), ("C5", "C-5"), ("0.5", "5"), ("1.5", "15"), ("10 m²", "10 m³"), ("p53", "53")),
    *(("5%", "5"), ("10^-3", "10^3"), ("T1", "T2"), ("L4-L5", "L4"), ("left", "right")),
    *(("120/80", "120"), ("1,5", "1500"), ("2 x 3", "23"), ("E5", "E6")),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_form_for_what_is_the_same(left: str, right: str) -> None:
    assert canonical(left) == canonical(right)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_signs_exponents_and_units_decide(left: str, right: str) -> None:
    assert canonical(left) != canonical(right)


def test_a_table_of_a_page_becomes_one_of_markdown() -> None:
    rows = "<tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr>"
    assert without_tags(f"<table>{rows}</table>").strip().split("\n") == [
        "| A | B |", "|---|---|", "| 1 | 2 |", "| 3 |",
    ]  # fmt: skip


@given(st.text(max_size=60))
def test_a_canonical_form_is_its_own(text: str) -> None:
    once = canonical(text)
    assert canonical(once) == once


LABELS = "ABCD"


@given(
    st.sampled_from(range(4)),
    st.sampled_from(
        [
            *("{l}", "{l}.", "({l})", "**{l}**", "{l}. {w}", "{l}) {w}", "Answer: {l}", "{w}"),
            *("The answer is {l}.", "The correct answer is ({l}) {w}.", "Final answer: {l}"),
            *("\\boxed{{{l}}}", "答案是{l}", "I choose option {l}.", "<b>{l}</b>", "{l}: {w}"),
            *("```\n{l}\n```", '{{"answer": "{l}"}}', "{l}. The image shows it.", "Option {l}"),
        ]
    ),
    st.sampled_from(["", " ", "\n", "\r\n\r\n", "\u200b"]),
    st.sampled_from([str.upper, str]),
)
def test_every_form_of_every_option_is_read(
    place: int, form: str, around: str, case: object
) -> None:
    words = FINDINGS[place].partition(". ")[2]
    reply = around + form.format(l=LABELS[place], w=words) + around
    assert read_choice(reply, FINDINGS).answer == LABELS[place].lower()


@given(st.sampled_from(range(4)), st.sampled_from(range(4)))
def test_two_different_stated_answers_are_none(one: int, other: int) -> None:
    reply = f"The answer is {LABELS[one]}.\nThe answer is {LABELS[other]}."
    want = LABELS[one].lower() if one == other else None
    assert read_choice(reply, FINDINGS).answer == want


@given(st.text(max_size=200), st.sampled_from(["multiple-choice", "blank-filling"]))
def test_any_text_is_read(text: str, task: str) -> None:
    assert read_answer(text, FINDINGS, task) == read_answer(text, FINDINGS, task)
    is_refusal(text, task, FINDINGS)
    part_thoughts(text)


@pytest.mark.parametrize(
    "unit",
    [
        *("A, ", "answer is ", "(A", " ", "not ", "mass ", "A. x\n", "option ", "the answer to "),
        *("答案", "a", "1. ", ";", "x. ", "1,", "1", "10^", "^", "- ", "<think>", "</think>"),
        *("not x, but ", "no x, but no ", "<td>", "between 1 and ", "A (B) ", "would if "),
        *("<answer>", "I cannot ", "sorry ", "as an ai ", "but ", "```\n", "\\text{", "*", "_"),
    ],
)
def test_no_text_takes_long(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    begun = time.process_time()
    read_answer(text, FINDINGS, "multiple-choice")
    read_answer(text, (), "blank-filling")
    options_in(text)
    is_refusal(text)
    part_thoughts(text)
    assert time.process_time() - begun < 10
