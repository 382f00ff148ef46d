"""What is read from three thousand more replies, by kind (see the tables beside this file)."""

import pytest
from answers.tables import choices, rows

from medgen.engine.answers.choice import read_choice
from medgen.engine.answers.closed import is_right, read_answer
from medgen.engine.answers.exceptions import asks_for_exception
from medgen.engine.answers.options import options_in, options_of
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.answers.refusals import is_refusal
from medgen.engine.answers.several import read_choices


@pytest.mark.parametrize("options", choices(), ids=lambda options: options[0])
def test_the_stated_option_is_read(options: tuple[str, ...]) -> None:
    wanted = choices()[options]
    read = [
        (read_answer(reply, options, "multiple-choice").answer or "-", reply) for _, reply in wanted
    ]
    assert read == wanted


def test_blanks_are_filled_or_not_or_nobody_can_tell() -> None:
    table = list(rows("blanks"))
    words = {True: "yes", False: "no"}
    read = []
    for _, reference, reply in table:
        found = is_right(reply, reference, (), "blank-filling")
        read.append((words[found] if isinstance(found, bool) else "?", reference, reply))
    assert read == table
    assert {row[0] for row in table} == {"yes", "no", "?"}


def test_what_declines_is_told_from_what_answers() -> None:
    table = list(rows("refusals"))
    options = ("A. Pneumothorax", "B. Pleural effusion", "C. Mass", "D. Normal")
    read = []
    for kind, reply in table:
        closed = ("multiple-choice", options) if kind == "chooses" else ("", ())
        read.append(("declines" if is_refusal(reply, *closed) else kind, reply))
    assert read == table
    assert {kind for kind, _ in table} == {"declines", "answers", "chooses"}


def test_the_option_that_does_not_hold_is_an_answer_where_it_is_asked_for() -> None:
    options = ("A. Pneumothorax", "B. Pleural effusion", "C. Mass", "D. Normal")
    table = list(rows("exceptions"))
    asked = "Which of the following is NOT seen?"
    read = [
        (read_answer(reply, options, "multiple-choice", asked).answer or "-", reply)
        for _, reply in table
    ]
    assert read == table
    # Of a question that asks for what holds, such a reply names nothing.
    asked = "Which of the following is seen?"
    for reply in ("The least likely diagnosis is B.", "All are true except D.", "C is not true."):
        assert read_answer(reply, options, "multiple-choice", asked).answer is None


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("Which of the following is NOT a sign of pneumonia?", True),
        ("All of the following are true EXCEPT:", True),
        ("Each of the following can cause this appearance except", True),
        ("Which diagnosis is least likely?", True),
        ("Which statement is incorrect?", True),
        ("Select the false statement.", True),
        ("Which finding is not visible in the image?", True),
        ("Which of these doesn't belong?", True),
        ("Which treatment is contraindicated?", True),
        ("以下哪项不正确？", True),
        ("下列哪项是错误的", True),
        ("¿Cuál de las siguientes NO es un signo de neumonía?", True),
        ("Todas son correctas excepto:", True),
        ("¿Cuál es incorrecta?", True),
        ("Laquelle n'est pas un signe de pneumonie ?", True),
        ("Toutes sont vraies sauf :", True),
        ("Welche Aussage ist falsch?", True),
        ("Welcher Befund ist nicht zu sehen?", True),
        ("Alle sind richtig außer:", True),
        ("Quale delle seguenti non è corretta?", True),
        ("Tutte sono vere tranne:", True),
        ("Qual das seguintes NÃO é verdadeira?", True),
        ("Todas estão corretas, exceto:", True),
        ("Какой из признаков не характерен?", True),
        ("Всё верно, кроме:", True),
        ("다음 중 옳지 않은 것은?", True),
        ("誤っているものはどれか。", True),
        ("أي مما يلي ليس صحيحًا؟", True),
        ("निम्नलिखित में से कौन सा सही नहीं है?", True),
        ("Welke is niet juist?", True),
        ("Đáp án nào sau đây không đúng?", True),
        ("¿Qué se observa en la imagen?", False),
        ("Welche Diagnose ist richtig?", False),
        ("Quel est le diagnostic ?", False),
        ("Какой диагноз наиболее вероятен?", False),
        ("图中最可能的诊断是什么？", False),
        ("Der Patient hat kein Fieber. Welche Diagnose ist richtig?", False),
        ("El paciente no tiene fiebre. ¿Cuál es el diagnóstico?", False),
        ("What is the diagnosis?", False),
        ("Which organ is shown? If you are not sure, guess.", False),
        ("Is there a fracture or not?", False),
        ("Which is the most likely diagnosis? Do not explain.", False),
        ("The patient is not febrile. Which is the most likely diagnosis?", False),
        ("Which structure is normal?", False),
    ],
)
def test_a_question_for_the_exception_is_told_from_others(question: str, wanted: bool) -> None:
    assert asks_for_exception(question) is wanted


def test_several_options_that_are_named_are_read_as_a_set() -> None:
    table = list(rows("several"))
    options = ("A. Cyst", "B. Mass", "C. Stone", "D. Normal")
    read = [("".join(sorted(read_choices(reply, options)[0])) or "-", reply) for _, reply in table]
    assert read == table


def test_thoughts_and_wrappers_are_taken_off() -> None:
    table = list(rows("thoughts"))
    assert [(part_thoughts(reply).answer, reply) for _, reply in table] == table


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Which? (1) cyst (2) mass (3) stone", ("(1) cyst", "(2) mass", "(3) stone")),
        ("Which?\nA) cyst\n\nB) mass\n\nC) stone", ("A) cyst", "B) mass", "C) stone")),
        ("Which one? A.cyst; B.mass; C.stone.", ("A.cyst", "B.mass", "C.stone.")),
        ("Which?\n- A: cyst\n- B: mass", ("A: cyst", "B: mass")),
        ("Which?\n**A.** cyst\n**B.** mass", ("A. cyst", "B. mass")),
        ("Which?\n(A) cyst\n(B) mass\nAnswer with the letter.", ("(A) cyst", "(B) mass")),
        ("下列哪项正确？A. 囊肿 B. 肿块", ("A. 囊肿", "B. 肿块")),
        ("下列哪项正确？A、囊肿 B、肿块", ("A、囊肿", "B、肿块")),
        ("下列？A\uff0e囊肿 B\uff0e肿块", ("A\uff0e囊肿", "B\uff0e肿块")),
        ("Что это? А) киста Б) опухоль", ("А) киста", "Б) опухоль")),
        ("Which? i) cyst ii) mass iii) stone", ("i) cyst", "ii) mass", "iii) stone")),
        ("무엇인가? ① 낭종 ② 종괴", ("(1) 낭종", "(2) 종괴")),
        ("Which? [A] cyst [B] mass", ("[A] cyst", "[B] mass")),
        ("Is it A. cyst or B. mass?", ("A. cyst", "B. mass?")),
        ("Take vitamin A. What? A. bone B. lung C. heart", ("A. bone", "B. lung", "C. heart")),
        ("Hepatitis A - positive, B - negative. Why?", ()),
        ("With A = 5 and B = 7, what is C?", ()),
        ("Stages I and II differ in what?", ()),
        ("Take 2 pills at 1. or 2. of the month", ()),
        ("Is vitamin B. needed?", ()),
        (
            "¿Qué se observa? A) neumotórax B) derrame C) masa",
            ("A) neumotórax", "B) derrame", "C) masa"),
        ),
        (
            "Que montre l'image ?\nA. pneumothorax\nB. épanchement\nC. masse",
            ("A. pneumothorax", "B. épanchement", "C. masse"),
        ),
        (
            "Was ist zu sehen? (a) Pneumothorax (b) Erguss (c) Raumforderung",
            ("(a) Pneumothorax", "(b) Erguss", "(c) Raumforderung"),
        ),
        ("Cosa si vede? A: pneumotorace B: versamento", ("A: pneumotorace", "B: versamento")),
        (
            "O que se vê? a) pneumotórax; b) derrame; c) massa",
            ("a) pneumotórax", "b) derrame", "c) massa"),
        ),
        (
            "Что видно? а) пневмоторакс б) выпот в) опухоль",
            ("а) пневмоторакс", "б) выпот", "в) опухоль"),
        ),
        ("ما التشخيص؟ أ) استرواح ب) انصباب ج) كتلة", ("أ) استرواح", "ب) انصباب", "ج) كتلة")),
        ("क्या दिखता है? क) वातवक्ष ख) बहाव ग) गांठ", ("क) वातवक्ष", "ख) बहाव", "ग) गांठ")),
        ("Wat is te zien?\n1. pneumothorax\n2. effusie", ("1. pneumothorax", "2. effusie")),
        ("Hình ảnh cho thấy gì? A. tràn khí B. tràn dịch", ("A. tràn khí", "B. tràn dịch")),
        ("何が見えますか。ア. 気胸 イ. 胸水 ウ. 腫瘤", ("ア. 気胸", "イ. 胸水", "ウ. 腫瘤")),
        ("무엇이 보입니까? 가. 기흉 나. 흉수 다. 종괴", ("가. 기흉", "나. 흉수", "다. 종괴")),
        ("图中所示为？（A）气胸（B）胸腔积液（C）肿块", ("A）气胸", "B）胸腔积液", "C）肿块")),
        ("Which one: A cyst or B mass?", ()),
        ("图中所示为？①气胸②胸腔积液", ("(1)气胸", "2)胸腔积液")),
        ("Which?<br>A. cyst<br>B. mass", ("A. cyst", "B. mass")),
    ],
)
def test_options_that_only_the_question_lists(question: str, options: tuple[str, ...]) -> None:
    assert options_in(question) == options


@pytest.mark.parametrize(
    ("choices", "labels"),
    [
        (("① 낭종", "② 종괴"), "12"),
        (("А. киста", "Б. опухоль"), "АБ"),
        (("ア. 気胸", "イ. 胸水"), "アイ"),
        (("イ. 気胸", "ロ. 胸水"), "イロ"),
        (("가. 기흉", "나. 흉수"), "가나"),
        (("A、囊肿", "B、肿块"), "AB"),
        (("A\uff0e囊肿", "B\uff0e肿块"), "AB"),
        (("[A] cyst", "[B] mass"), "AB"),
        (("A = cyst", "B = mass"), "AB"),
        (("ก. ถุงน้ำ", "ข. ก้อน"), "กข"),
        (("क) cyst", "ख) mass"), "कख"),
        (("A| cyst", "B| mass"), "AB"),
        (("**A.** cyst", "**B.** mass"), "AB"),
        (("0. cyst", "1. mass"), "01"),
        (("α) κύστη", "β) μάζα"), "αβ"),
        # Labels with a gap, or that do not begin with the first, are words; so are counts.
        (("B. mass", "C. stone"), ""),
        (("A. cyst", "C. mass"), ""),
        (("0", "1", "2"), ""),
        (("E. coli", "C. difficile"), ""),
        (("A. cyst", "B. mass", ""), ""),
    ],
)
def test_labels_of_any_script_are_kept(choices: tuple[str, ...], labels: str) -> None:
    options = options_of(choices)
    assert options.labelled is bool(labels)
    shown = "".join(option.label for option in options.each)
    assert shown == (labels or "ABC"[: len(choices)])
    # What the prompt shows is what is read.
    for option in options.each:
        assert read_choice(f"{option.label}.", choices).answer == option.key


def test_a_letter_of_another_script_is_that_of_its_shape() -> None:
    latin = ("A. cyst", "B. mass", "C. stone")
    assert [read_choice(sign, latin).answer for sign in "АВСΑΒ"] == ["a", "b", "c", "a", "b"]
    cyrillic = ("А. киста", "Б. опухоль", "В. камень")
    assert [read_choice(sign, cyrillic).answer for sign in "AB"] == ["а", "в"]
    assert read_choice("Г", latin).answer is None
