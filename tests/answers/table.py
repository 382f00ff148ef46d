"""The table of docs/metrics.md that shows what is read from fifty replies.

python tests/answers/table.py writes it anew; a test holds the page to it.
"""

import re
from pathlib import Path

from medgen.engine.answers.blanks import read_blanks
from medgen.engine.answers.choice import read_choice
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.answers.refusals import is_refusal
from medgen.metrics.text.closed_form import parse_compat

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
BETWEEN = re.compile(r"(<!-- replies -->\n).*?(<!-- end -->)", re.DOTALL)
FINDINGS = ("A. Pneumothorax", "B. Pleural effusion", "C. Mass", "D. Normal")
BLOOD = ("A. O", "B. A", "C. B", "D. AB")
SETS = {
    "findings": FINDINGS,
    "bare": ("Pneumothorax", "Pleural effusion", "Mass"),
    "yes/no": ("A. Yes", "B. No"),
    "blood": BLOOD,
    "numbers": ("A. -5", "B. 5"),
    "nine": tuple(f"{c}. item {c}" for c in "ABCDEFGHI"),
}
# Options (see SETS) or "blanks", and the reply.
REPLIES = [
    ("findings", "B"),
    ("findings", "b."),
    ("findings", "(B) Pleural effusion"),
    ("findings", "Pleural effusion"),
    ("findings", "B. The meniscus shows fluid; option C would be round."),
    ("findings", "B. Blunting points to pleural effusion rather than pneumothorax."),
    ("findings", "The correct answer is B. Choice A is wrong since the lung is whole."),
    ("findings", "The answer is A or B."),
    ("findings", "Answer: A, C"),
    ("findings", "Option A is incorrect."),
    ("findings", "Not B."),
    ("findings", "The answer is not A but B."),
    ("findings", "Pneumothorax is ruled out; a mass is seen."),
    ("findings", "There is no pneumothorax, but a pleural effusion."),
    ("findings", "This looks like hepatitis B."),
    ("findings", "B-lines are seen."),
    ("findings", "A mass is seen in the left lobe."),
    ("findings", "A. No line.\nB. Meniscus.\nC. Not round.\n\nAnswer: B"),
    ("findings", "A. Pneumothorax\nB. Pleural effusion"),
    ("findings", "B. Pneumothorax"),
    ("findings", "**Answer:** B"),
    ("findings", "$\\boxed{\\text{B}}$"),
    ("findings", '```json\n{"answer": "B"}\n```'),
    ("findings", '{"answer": "B", "answer": "C"}'),
    ("findings", "<think>A? No.</think>B"),
    ("findings", "It could be A.\n</think>\n\nB. Fluid."),
    ("findings", "<think>Maybe A, because"),
    ("findings", "<answer>B</answer>"),
    ("findings", "答案是B"),
    ("findings", "La respuesta correcta es B."),
    ("findings", "I cannot give a diagnosis, but the answer is B."),
    ("findings", "I'm unable to assist with that request."),
    ("findings", "The answer is unclear."),
    ("findings", "If the answer is B, fluid should be seen."),
    ("bare", "B"),
    ("bare", "C"),
    ("bare", "pleural effusion."),
    ("yes/no", "No, the heart is not enlarged."),
    ("yes/no", "There is no effusion."),
    ("blood", "C"),
    ("blood", "AB"),
    ("numbers", "5"),
    ("numbers", "−5"),
    ("nine", "I cannot tell from the image."),
    ("blanks", "liver\nheart"),
    ("blanks", "1. liver 2. heart"),
    ("blanks", "pneumonia\n\nThe left lobe of the lung is dense."),
    ("blanks", "The answer is pneumonia."),
    ("blanks", "10⁵"),
    ("blanks", "-5"),
    ("blanks", "unknown"),
    ("blanks", "Crohn’s disease"),
]


def strict(options: str, reply: str) -> str:
    """What the engine reads."""
    task = "blank-filling" if options == "blanks" else "multiple-choice"
    words = part_thoughts(reply).answer
    if is_refusal(words, task, SETS.get(options, ())):
        return "*refused*"
    if not words:
        return "*no answer*"
    found = read_blanks(words) if options == "blanks" else read_choice(words, SETS[options])
    return f"*{found.reason}*" if found.answer is None else _code(found.answer.replace("\n", " / "))


def compat(options: str, reply: str) -> str:
    """What the authors' rules read from the same text."""
    task = "blank-filling" if options == "blanks" else "multiple-choice"
    found = parse_compat(part_thoughts(reply).answer, SETS.get(options, ()), task)
    return f"*{found.reason}*" if found.answer is None else _code(found.answer)


def _code(text: str) -> str:
    return f"`{text}`"


def rows() -> str:
    """The table as it stands on the page."""
    head = "| options | reply | `strict` reads | `compat` reads |\n| --- | --- | --- | --- |\n"
    lines = [
        f"| {options} | {_code(reply.replace(chr(10), ' ⏎ ').replace('```', '``‵'))} "
        f"| {strict(options, reply)} | {compat(options, reply)} |\n"
        for options, reply in REPLIES
    ]
    return head + "".join(lines)


def page(text: str) -> str:
    """The page with the table in its place."""
    return BETWEEN.sub(lambda m: m[1] + rows() + m[2], text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
