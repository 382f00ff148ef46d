"""The words that state and deny, in the languages that benchmarks and replies come in.

Each is a part of a pattern, in the spelling of `forms.one_spelling` (NFKC).
"""

import re
import unicodedata


def either(*words: str) -> str:
    """A pattern of any of these words, parted by blanks; `_` stands for a blank within one."""
    each = unicodedata.normalize("NFKC", " ".join(words)).split()
    return "|".join(word.replace("_", r"\s") for word in each)


# The end of a word; in Thai none can be seen.
END = r"(?![^\W\u0e00-\u0e7f])"

# What calls an answer the right one, before its noun or after it.
RIGHT = either(
    "final correct right best true chosen selected most_likely likeliest definitive",
    "most_appropriate",
    "correcta correcto correcte correctes corretta corretto correta correto certa exacte bonne",
    "juste richtige richtig korrekte korrekt endgültige juiste goede finale finala definitiva",
    "prawidłowa prawidłową poprawna właściwa správná správna правильный правильная правильной",
    "верный верная правильна вірна верен правилният тачан σωστή σωστό ορθή doğru benar tepat",
    "vraie verdadera verdadeira vera wahr yang_tepat akhir cuối_cùng",
    "yang_benar rätt rätta riktig riktige rigtige oikea helyes corect corectă đúng chính_xác",
    "ที่ถูกต้อง ถูกต้อง ที่ถูก सही अंतिम সঠিক صحيحة الصحيحة الصحيح النهائية صحیح درست",
    "נכונה הנכונה סופית",
)
# Nouns after which an option is the answer, with or without a copula.
ANSWER = either(
    "respuesta respuestas réponse réponses antwort antworten lösung resposta respostas gabarito",
    "risposta risposte antwoord antwoorden eindantwoord odpowiedź odpověď ответы",
    "odpoveď odgovor одговор ответ відповідь отговор отговорът απάντηση cevap cevabı yanıt",
    "jawaban jawabannya jawapan svar svaret vastaus vastus válasz răspuns răspunsul",
    "đáp_án câu_trả_lời trả_lời คำตอบ उत्तर जवाब উত্তর பதில் సమాధానం پاسخ جواب الإجابة الجواب",
    "التشخيص_الصحيح תשובה התשובה sagot jibu correction",
)
ENGLISH = either("answer answers ans response solution verdict result pick prediction guess vote")
# Nouns that only name an option.
OPTION = either(
    "option options choice letter selection opción opcion inciso letra alternativa opção opcao",
    "lettre choix proposition buchstabe auswahl opzione lettera optie вариант буква варіант",
    "επιλογή seçenek şık pilihan huruf alternativ opcja możnost vaihtoehto lựa_chọn",
    "ตัวเลือก ข้อ विकल्प الخيار گزینه אפשרות",
)
IS = either(
    "is are was would_be should_be must_be will_be remains might_be may_be could_be has_to_be",
    "appears_to_be seems_to_be ought_to_be to_be lautet ist wäre est es son sería é são",
    "está sont sind sono",
    "seria è sarebbe to jest brzmi je znie er on este είναι adalah ialah är là คือ है হল هي هو است",
    "היא הוא to_jest это",
)
# "Is", where it stands behind all that is stated.
COPULA_AFTER = re.compile(
    r"\s?(?:です|である|でしょう|입니다|이다|예요|이에요|है)[.\u3002\u0964]?\s*$"
)
SIGN = r"=>|->|=|:|-|'s(?=\s)"
THE = either("la el lo l' le les die der das den de het il the una un ein eine to η ο το")
# What takes a statement back, right after its introduction.
NOT = either(
    "not n't never neither unlikely no nicht kein keine keinesfalls niet geen não nao non",
    "pas n'est_pas ne не нет nie není nu inte ikke bukan tidak değil không ไม่ नहीं ليس ليست לא",
)
# What calls an option wrong, after it.
WRONG = either(
    "incorrecta incorrecto falsa falso fausse faux incorrecte falsch unzutreffend errada errado",
    "incorreta incorreto sbagliata sbagliato errata scorretta onjuist fout неверно неправильно",
    "неверен неправильный неверный yanlış sai salah błędna nieprawidłowa",
)
INSTEAD = either(
    "but_rather but rather instead, instead sino sondern mais_plutôt mais mas_sim mas ma_bensì ma",
    "bensì но а maar lecz ale men melainkan mà",
)
# A contrast, where what a denial governs ends.
CONTRAST = either(
    "but however although though yet whereas while so therefore and_it_is pero sino",
    "sondern aber jedoch mais cependant toutefois mas porém ma bensì но а однако maar lecz ale men",
    "tetapi melainkan nhưng mà fakat ama sin_embargo",
)
# What denies the rest of its clause, beside the English words.
DENYING = either(
    "pas aucun aucune sans ni sin tampoco ausencia_de absence_de kein keine keinen keiner nicht",
    "ohne weder não sem nem nenhum nenhuma non senza né nessun nessuna geen niet zonder не нет без",
    "отсутствует исключен исключён nie brak bez inte ikke ingen utan uten uden tidak bukan tanpa",
    "không chưa ليس لا بدون لم",
)
DENYING_HAN = (
    r"不是|没有|沒有|并非|並非|未见|未見|未发现|排除|否认|不考虑|不支持|不符合|不像|而非"
    r"|无(?!疑)|無(?!疑)|非(?!常)|ไม่(?:มี|พบ|ใช่)?"
)
CONTRAST_HAN = r"而是|但是?|考虑|应为|应是|就是|のではなく|ではなく"
# What denies that which stands before it.
DENIED_AFTER = (
    rf"\s(?:(?:{IS})\s)?(?:{WRONG})(?!\w)|"
    r"\s?(?:可以?|已)?(?:被)?(?:除外|排除)|不(?:正确|對|对|符合|支持|成立|存在)|错误|錯誤|可能性(?:小|低|不大)|(?:では|じゃ|で)なく"
    r"|でも[^,\n]{1,20}でもなく|도\s[^,\n]{1,20}도\s아니"
    r"|(?:は|が|も)?(?:誤り|間違い|不正解|正しくない)"
    r"|(?:で)?(?:は|が|も)?(?:なく|ない|なし|ありません|認めない|認められない|みられない|否定)"
    r"|\s?(?:은|는|이|가|도)?\s?(?:없|틀[렸리]|오답|잘못|아니|아님|아닙|보이지 않|배제)"
    r"|\s(?:değil|yok|görülme|izlenme)|\s?नहीं|\s?नही"
)
