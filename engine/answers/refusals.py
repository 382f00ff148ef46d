"""Whether a reply declines to answer.

A refusal is a reply that declines and answers nothing: a disclaimer beside an answer is an answer,
and a finding that is put as "I cannot see a fracture" is one too.
"""

import re

from medgen.engine.answers.blanks import read_blanks
from medgen.engine.answers.choice import read_choice
from medgen.engine.answers.dressing import plain_words

_LONGEST = 4000  # characters; what declines at greater length than this says something
_CANNOT = (
    r"(?:can'?t|cannot|can not|could not|couldn'?t|won'?t|will not|would not|shouldn'?t|should not|"
    r"must not|don't|do not|refuse to|decline to)"
)
_ABLE = (
    r"(?:not (?:able|allowed|permitted|authori[sz]ed|qualified|licensed|comfortable|designed|"
    r"equipped|in a position|"
    r"going|willing)(?: to)?|unable to|unwilling to|prohibited from|incapable of)"
)
_DOING = (
    r"(?:be able to |to )?(?:really |directly |ethically |actually |safely )?(?:help(?! but|"
    r" noticing| thinking)|assist|provid|comply|answer|interpret"
    r"|analy[sz]|generat|creat|edit|fulfil|diagnos|offer|give|giving|giv|do (?:that|this|so)|"
    r"process|view|access|open|"
    r"evaluat|assess|discuss|engage|respond|continue|proceed|produc|modify|"
    r"(?:see|look at|examine|read) (?:the |any |this |that |your |these |an? )?"
    r"(?:attached |uploaded |medical )?(?:images?|pictures?|photos?|scans?|attachments?|files?|"
    r"x-rays?|radiographs?)(?!\s+(?:clear|quality|well)))"
)
_DECLINES = re.compile(
    rf"\b(?:i|we)(?:\s|'m\s|'re\s)(?:am\s|are\s|must\s|have to\s|would\s)?(?:also\s|really\s|"
    rf"just\s|therefore\s|"
    rf"simply\s|currently\s|unfortunately\s|afraid i\s)*(?:{_CANNOT}|{_ABLE})\s+{_DOING}"
    rf"|^\W*(?:sorry,?\s*(?:but\s)?)?(?:{_ABLE}|{_CANNOT})\s+{_DOING}"
    r"|\b(?:i|we)\s(?:must|have to|need to|will have to|would have to|"
    r"respectfully)\s(?:respectfully\s)?(?:decline|refuse)\b"
    r"|\b(?:i|we)\s(?:respectfully\s)?(?:decline|refuse)\b(?!\s(?:in|of))"
    r"|\b(?:this|that|your|the) (?:request|question|task|prompt|image|"
    r"content)\b[^.]{0,40}\b(?:cannot|can't|can not)"
    r" be (?:fulfilled|completed|processed|answered|assisted|generated|provided|discussed)\b"
    r"|\b(?:that|this|it)(?:'s| is) (?:not something|something) (?:that )?(?:i|we)"
    r"(?:'m| am|'re| are)? (?:can(?:'t|not)?|not able|unable)\b"
    r"|\bas an? (?:ai|artificial|large language|language model)\b[^.;]{0,120}?\b(?:can'?t|"
    r"cannot|unable|"
    r"not able|am not|do not|don't)\b"
    r"|\b(?:against|violates?) (?:my|our|the)\s(?:\w+\s){0,2}(?:guidelines|policy|policies|"
    r"terms|rules)\b"
    r"|(?:我|我们)?(?:无法|不能|無法|不可以)(?:为您|对此|直接)?"
    r"(?:提供|回答|帮助|协助|诊断|分析|生成|回答|協助|满足)"
    r"|お答えできません|できません"
    r"|\b(?:no puedo|lo siento, no|je ne peux pas|je ne suis pas en mesure|"
    r"ich kann (?:ihnen )?(?:dabei |damit )?"
    r"(?:leider )?nicht|não posso|non posso)\b",
    re.IGNORECASE,
)
# What a model says around a refusal, none of which answers anything.
_AROUND = re.compile(
    r"\b(?:sorry|apologi[sz]e|apologies|guidelines|polic(?:y|ies)|not a doctor|"
    r"not a (?:licensed|qualified|medical)|"
    r"consult|seek|(?:healthcare|medical|qualified|licensed) (?:professional|provider|expert|"
    r"advice|attention)|"
    r"(?:see|ask|contact|speak to|talk to|visit) (?:a|your|an?) (?:doctor|physician|"
    r"radiologist|specialist)|"
    r"language model|(?:an|as an) ai\b|ai (?:assistant|model)|hope you understand|"
    r"let me know|feel free|happy to help|glad to help|can help (?:you )?with|anything else|"
    r"please (?:provide|upload|share|try|rephrase)|"
    r"thank|understand your|this (?:request|content|image) (?:may|might|contains|"
    r"appears to contain|involves)|"
    r"inappropriate|sensitive|privacy|harmful|unsafe|safety|unfortunately\W*$|professional|"
    r"if you have (?:any|other|more)|"
    r"would you like|instead,? i can|how (?:else )?(?:can|may) i|real (?:person|patient|people))\b"
    r"|抱歉|对不起|對不起|请咨询|咨询医生|申し訳",
    re.IGNORECASE,
)
_CLAUSES = re.compile(
    r"(?<=[.!?;\u3002\uff01])\s*(?=\S)(?<![A-Z]\.)|\n+"
    r"|,?\s+(?:but|however|nevertheless|nonetheless|that said|yet|still|although|though)\b,?\s*"
    r"(?!(?:unfortunately,?\s)?(?:i|we)\b)|,\s+(?=(?:the|there|these|it|its)\b)",
    re.IGNORECASE,
)


def is_refusal(text: str, task: str = "", choices: tuple[str, ...] = ()) -> bool:
    """Whether a reply, without its thoughts, declines and answers nothing.

    Args:
        text: the reply.
        task: a closed task's reply is an answer as soon as one can be read from what is left
            when the declining words are taken out.
        choices: the options of a multiple-choice item.
    """
    words = plain_words(text)
    if not words or len(words) > _LONGEST or not _DECLINES.search(words):
        return False
    clauses = [c for c in _CLAUSES.split(words) if c and c.strip()]
    left = [c for c in clauses if not _DECLINES.search(c) and not _AROUND.search(c)]
    rest = "\n".join(c.strip(" ,.;:") for c in left)
    if not re.search(r"\w", rest):
        return True
    if task == "multiple-choice":
        return read_choice(rest, choices).answer is None
    if task == "blank-filling":
        return read_blanks(rest).answer is None
    return False
