"""Questions that ask for the option that does not hold, and replies that name it as such.

"Which is NOT a sign …?" is answered by "C is not one", "all but C" or "C is the least likely". What
a reply states as its answer wins; only where it states none, or calls the others right, is the one
that it names as the exception its answer.
"""

import re

from medgen.engine.answers.dressing import plain_words
from medgen.engine.answers.options import Option, Options, options_of

_WORST = (
    r"least (?:likely|probable|appropriate|suitable|consistent|common|accurate|typical|supported|"
    r"plausible|compatible|characteristic)"
)
_FALSE = (
    r"(?:incorrect|inaccurate|false|untrue|wrong|inappropriate|contraindicated|unlikely|"
    r"unrelated|inconsistent|mistaken|invalid|absent)"
)
_ASKED = re.compile(
    r"\b(?-i:NOT|EXCEPT|FALSE|INCORRECT|LEAST|WRONG)\b"
    r"|\bexcept(?: for)?\s*(?::|\?|$|\n)|\b(?:all|each|any) of (?:the following|these)\b"
    r"[^.?\n]{0,80}\bexcept\b"
    rf"|\b(?:which|what|select|choose|identify|find|mark)\b[^.?\n]{{0,80}}"
    rf"\b(?:{_WORST}|{_FALSE}|odd one|exception)\b"
    r"|\b(?:which|what)\b[^.?\n]{0,60}?(?:\b(?:is|are|was|were|does|do|would|should|can|could|has|have)"
    r"\snot\b|n't\b)"
    # In other languages: "which is not", "all but".
    r"|(?:¿|\b)(?:cuál|cuáles|qué|qual|quais|quale|quali|quel|quelle|quels|quelles|laquelle|lequel|"
    r"welche[rsn]?|welke?|что|какой|какая|какое|какие|hangi\w*)\b[^.?!\n]{0,80}?(?:\b(?:no|não|non|"
    r"pas|nicht|kein\w*|niet|geen|не|incorrect[ao]s?|incorreta|falsa?|fausse|falsch\w*|"
    r"неверн\w+|неправильн\w+|errata|errada|onjuist|değil)\b)"
    r"|\b(?:todas?|todos|toutes|tous|tutte|tutti|alle|все|всё)\b[^.?!\n]{0,80}?"
    r"\b(?:excepto|salvo|menos|exceto|sauf|excepté|tranne|eccetto|außer|ausgenommen|behalve|кроме)\b"
    r"|ليس|ليست|غير صحيح|नहीं है|không (?:đúng|phải|chính xác)|ngoại trừ"
    r"|不(?:正确|正確|属于|屬於|符合|包括|恰当|支持|可能是)的?|(?:错误|錯誤)的|除外|除了.{0,20}都"
    r"|誤っている|正しくない|当てはまらない|옳지 않은|아닌 것",
    re.IGNORECASE,
)
_LABEL = r"[(\[\"'*]?\s?(?P<label>[A-Za-z]|\d{1,2})\s?[)\]\"'*]?(?![\w-])"
_NAME = rf"(?:(?:option|choice|statement|answer|letter)\s)?{_LABEL}"
_THING = r"(?:\s[a-z]+){0,4}?"
_NAMED_ODD = (
    rf"(?:{_WORST}|{_FALSE}|exception|odd one(?: out)?|(?:not|does not|doesn't|isn't) "
    r"(?:(?:a|an|the|be|in|of|to)\s)?[a-z]+)"
)
_IS = r"(?:\s?(?:is|are|would be|must be)\s?:?|\s?:|\s?=|\s?-)\s?"
# "The least likely is B", "the one that does not fit is B", "except B".
_BEFORE = re.compile(
    rf"(?<!\w)(?:{_NAMED_ODD}{_THING}{_IS}(?:the\s)?"
    r"|\b(?:all|each|every\w*|the others?|both|rest)\b"
    r"[^.;\n]{0,60}?\b(?:except|but|other than|apart from|besides)(?: for)?\s(?:the\s)?"
    r"|\b(?:no(?: evidence of| signs? of)?|without(?: any)?|absence of|lack of)\s"
    rf"|^\W*(?:except|exception)(?: for)?\s?:?\s)(?P<named>{_NAME}|)",
    re.IGNORECASE | re.MULTILINE,
)
# "B is not the exception" names another.
_NO_TURN = rf"(?!\s(?:the\s|an?\s)?(?:only\s)?(?:{_WORST}|{_FALSE}|exception|odd|excluded|absent))"
_AFTER = re.compile(
    r"\s?(?:\([^()\n]{1,60}\)\s?)?(?:,?\s(?:which|that)\s)?"
    r"(?:\s?(?:is|are|was|would be)\s(?:the\s|an?\s)?"
    r"(?:only\sone\s(?:that|which)\s(?:is|does|was)\s)?"
    rf"(?:only\s|one\s|clearly\s|definitely\s)?(?:{_WORST}|{_FALSE}|exception|odd one|"
    rf"(?:not\b|n't\b){_NO_TURN})"
    rf"|isn't\b{_NO_TURN}|(?:does|do|would|should|can) not\b"
    r"|(?:doesn't|don't|wouldn't|shouldn't|cannot|can't)\b"
    rf"|\s?[:-]\s?(?:is\s)?(?:{_WORST}|{_FALSE}|exception|not true|not correct)\b)",
    re.IGNORECASE,
)
_NOT_SO = re.compile(r"(?:\bnot|n't|\bnever|\bnor)\s(?:the\s|an?\s)?(?:only\s)?$", re.IGNORECASE)
_LONGEST = 4000


def asks_for_exception(question: str) -> bool:
    """Whether a question asks for the option that does not hold."""
    return bool(_ASKED.search(question[-_LONGEST:]))


def named_exception(text: str, choices: tuple[str, ...]) -> str | None:
    """The key of the one option that a reply names as the exception; None for none or several."""
    words = plain_words(text)[:_LONGEST]
    options = options_of(choices)
    found = {option.key for option in _after(words, options)}
    found |= {option.key for option in _before(words, options)}
    return found.pop() if len(found) == 1 else None


def _before(words: str, options: Options) -> list[Option]:
    """Options right behind words such as "the least likely is"."""
    found = []
    for match in _BEFORE.finditer(words):
        option = _at(words, match.start("named"), options)
        if option and not _NOT_SO.search(words[max(0, match.start() - 12) : match.start()]):
            found.append(option)
    return found


def _after(words: str, options: Options) -> list[Option]:
    """Options right before words such as "is not" or "is the exception"."""
    found = []
    for start, end, option in _mentions(words, options):
        if _AFTER.match(words, end) and not _NOT_SO.search(words[max(0, start - 12) : start]):
            found.append(option)
    return found


def _mentions(words: str, options: Options) -> list[tuple[int, int, Option]]:
    found = []
    for label in re.finditer(rf"(?<![\w.-]){_LABEL}", words):
        option = options.by_label(label["label"])
        if option and (label["label"].isupper() or label["label"].isdigit()):
            found.append((label.start(), label.end(), option))
    lower = words.casefold()
    for option in options.each:
        own = option.words.casefold().strip(" .?!,;:")
        if len(own) > 2 and len(lower) == len(words):
            found += [(m.start(), m.end(), option) for m in re.finditer(re.escape(own), lower)]
    return found


def _at(words: str, place: int, options: Options) -> Option | None:
    """The option whose label or words stand at a place."""
    for start, _, option in _mentions(words[place : place + 200], options):
        before = words[place : place + start].strip(" \"'(").lower()
        if before in ("", "option", "choice", "statement", "answer", "letter"):
            return option
    return None
