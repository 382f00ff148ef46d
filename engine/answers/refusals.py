"""Whether a reply declines to answer.

A refusal is a reply that declines and answers nothing, or that says that there is no image: a
disclaimer beside an answer is an answer, and a finding that is put as "I cannot see a fracture" is
one too.
"""

import re

from medgen.engine.answers import unseen
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
    r"equipped|trained|in a position|"
    r"going|willing)(?: to)?|unable to|unwilling to|prohibited from|incapable of|going to have to)"
)
_SEEN = (
    r"(?:the |any |this |that |your |these |an? )?(?:attached |uploaded |medical |patient )?"
    r"(?:images?|pictures?|photos?|scans?|attachments?|files?|x-rays?|radiographs?)"
    r"(?!\s+(?:clear|quality|well))"
)
_DOING = (
    r"(?:be able to |to )?(?:really |directly |ethically |actually |safely )?(?:help(?! but|"
    r" noticing| thinking)|assist|provid|comply|answer|interpret"
    r"|analy[sz]|generat|creat|edit|fulfil|diagnos|do (?:that|this|so)|"
    r"process|view|access|open|recommend|advise|feel comfortable|decline|"
    r"(?:offer|giv(?:e|ing)) (?:you )?(?:an? |any |the )?(?:\w+ )?(?:advice|diagnos\w+|answers?|"
    r"opinions?|information|interpretation|recommendations?|that|this|it)\b|feel qualified|"
    r"evaluat(?! for\b)|assess(?! for\b)|discuss|engage|respond|continue|proceed|produc|modify|"
    r"identify (?:the )?(?:people|persons?|individuals?|faces?|anyone|who)|"
    rf"(?:see|look at|examine|read|comment on) {_SEEN})"
)
_ENGLISH = (
    rf"\b(?:i|we)(?:\s|'m\s|'re\s)(?:am\s|are\s|must\s|have to\s|would\s)?(?:also\s|really\s|"
    rf"just\s|therefore\s|"
    rf"simply\s|currently\s|unfortunately\s|afraid i\s)*(?:{_CANNOT}|{_ABLE})"
    rf"(?:\s(?:and|or)\s(?:{_CANNOT}|{_ABLE}))?(?:,\s[^,]{{1,30}},)?\s+(?:\w+ly\s)?{_DOING}"
    rf"|\bi(?:'m| am)\s[^.;]{{1,60}}\band (?:{_CANNOT}|{_ABLE}|am {_ABLE})\s+{_DOING}"
    r"|\bi can only (?:answer|help|assist|discuss|provide)\b"
    r"|\bi(?:'m| am|(?:'ve| have) been) (?:instructed|programmed|designed|trained|told) not to\b"
    r"|\b(?:the assistant|this (?:model|system|assistant)) (?:cannot|can't|is unable to) \w+"
    r"|\b(?:content|response|request|prompt) (?:was |has been |is )?(?:blocked|filtered|flagged)\b"
    r"|\b(?:cannot|can't) be (?:analy[sz]ed|interpreted|evaluated) by (?:me|us)\b"
    r"|\bnot possible for (?:me|us) to\b|\bneither confirm nor deny\b"
    r"|\bi (?:wish i could|would love to|would like to)\s(?:help|assist)\b[^.]{0,20}\bbut i "
    r"(?:can't|cannot)\W*$"
    rf"|^\W*(?:sorry,?\s*(?:but\s)?)?(?:{_ABLE}|{_CANNOT})\s+{_DOING}"
    # A refusal that names nothing: "I'm sorry, I can't."
    rf"|\b(?:sorry|apologi\w+|afraid|unfortunately)\b[^.]{{0,20}}\bi\s(?:{_CANNOT}|am unable)\W*$"
    r"|^\W*sorry,? no\W*$|\b(?:request|access) (?:denied|refused|declined)\b"
    r"|\b(?:i|we)\s(?:must|have to|need to|will have to|would have to|am going to have to|"
    r"respectfully)\s(?:respectfully\s)?(?:decline|refuse|refrain|pass on)\b"
    r"|\b(?:i|we)(?:'d|\swould) (?:rather|prefer) not\b|^\W*no comment\W*$"
    r"|\b(?:i|we)\s(?:respectfully\s)?(?:decline|refuse)\b(?!\s(?:in|of))"
    r"|\b(?:this|that|your|the) (?:request|question|task|prompt|image|"
    r"content)\b[^.]{0,40}\b(?:cannot|can't|can not)"
    r" be (?:fulfilled|completed|processed|answered|assisted|generated|provided|discussed)\b"
    r"|\b(?:that|this|it)(?:'s| is) (?:not something|something) (?:that )?(?:i|we)"
    r"(?:'m| am|'re| are)? (?:can(?:'t|not)?|not able|unable)\b"
    r"|\b(?:beyond|outside(?: of)?) (?:my|our) (?:scope|abilit|capabilit|knowledge|remit|role)"
    r"|\b(?:beyond|outside(?: of)?) what (?:i|we) (?:can|am|are)\b"
    r"|\b(?:guidelines?|polic(?:y|ies)|rules|programming) (?:do(?:es)? not|don't|doesn't|cannot|"
    r"prohibits?|forbids?|prevents?)\b"
    r"|\b(?:this|that|such) (?:content|request|question|topic) (?:is|are) (?:not|un)\s?"
    r"(?:allowed|permitted|supported|acceptable)"
    r"|\b(?:it )?would be (?:inappropriate|unethical|irresponsible|unsafe) (?:for (?:me|us) )?to\b"
    rf"|\b(?:i|we) (?:don't have|do not have|don't|do not|lack|have no) (?:the )?"
    r"(?:ability|capability|capacity|permission|"
    rf"access to {_SEEN})"
    r"|\b(?:i|we) (?:don't|do not|wouldn't) feel comfortable\b"
    r"|\bas an? (?:ai|artificial|large language|language model|text-based)\b[^.;]{0,120}?"
    r"\b(?:can'?t|cannot|unable|not able|am not|do not|don't)\b"
    r"|\bi(?:'m| am) (?:only |just |merely )?an? (?:ai|artificial|(?:large )?language model|"
    r"text-based)\b[^.;]{0,80}?\b(?:can'?t|cannot|unable|not able)\b"
    r"|\b(?:against|violates?) (?:my|our|the)\s(?:\w+\s){0,2}(?:guidelines|policy|policies|"
    r"terms|rules)\b"
)
# In other languages: what cannot be done is to help, answer, diagnose, see the picture; a finding
# that cannot be seen or excluded is an answer.
_OTHERS = (
    r"(?:无法|不能|無法|不可以|不便|不会)(?:为您|对此|直接|为你|就此|再)?"
    r"(?:提供|回答|帮助|协助|诊断|分析|生成|協助|满足|查看|处理|解读|做出|给出|执行|回應|回应|帮)"
    r"|(?:お答え|お応え|回答|対応|提供|診断|お手伝い|お力|お受け)[^。\n]{0,10}?"
    r"(?:できません|出来ません|できかね|しかね|いたしかね)"
    r"|(?:도와|도움|답변|제공|진단|분석|해석|응답|처리|협조)[^.\n]{0,10}?수\s?없"
    r"|\bno (?:puedo|podemos|me es posible)\s(?:ayudar|asistir|proporcionar|ofrecer|dar|brindar|"
    r"responder|diagnosticar|interpretar|analizar|realizar|cumplir|procesar|"
    r"ver (?:la|las|esta) im)|\blo siento, (?:pero )?no\b(?! hay)"
    r"|\bje ne (?:peux|suis)(?: malheureusement)?(?: pas)?(?: en mesure de| capable de)? "
    r"(?:vous |t'|y )?"
    r"(?:aider|assister|fournir|donner|répondre|diagnostiquer|interpréter|analyser|poser|proposer|"
    r"voir (?:l'image|les images))"
    r"|\b(?:ich (?:kann|darf)|(?:kann|darf) ich) (?:\w+\s){0,4}?(?:nicht "
    r"(?:helfen|behilflich|weiterhelfen|beantworten|interpretieren|diagnostizieren)|"
    r"keine?n? (?:medizinisch\w* )?(?:diagnose|beratung|auskunft|hilfe|antwort|interpretation))"
    r"|\b(?:dabei|damit|hierbei|das) kann ich (?:(?:ihnen|dir|leider)\s){0,2}nicht\s"
    r"(?:helfen|weiterhelfen|beantworten|beurteilen)"
    r"|\bnão (?:posso|consigo|sou capaz de) (?:ajudar|fornecer|dar|oferecer|responder|diagnosticar|"
    r"interpretar|analisar|atender|auxiliar)"
    r"|\bnon posso (?:aiutar|fornir|dare|rispondere|diagnosticare|interpretare|analizzare|assister)"
    r"|\bне (?:могу|можем|в состоянии)\s(?:\w+\s){0,2}?(?:помоч|предостав|отвеч|ответ|постав|"
    r"диагност|анализ|интерпрет|выполн|дать)"
    r"|\bnie mogę (?:\w+ ){0,2}?(?:pomóc|udzielić|odpowiedzieć|postawić)"
    r"|\bkan (?:\w+\s){0,4}?(?:niet (?:bij |mee |verder )?(?:helpen|"
    r"beantwoorden)|geen (?:diagnose|advies))"
    r"|\bkan (?:\w+\s)?(?:inte|ikke) (?:hjälpa|hjelpe|hjælpe)"
    r"|\b(?:yardımcı olam|sağlayam|yanıtlayam|cevaplayam|teşhis koyam)"
    r"|\btidak (?:dapat|bisa) (?:membantu|memberikan|menjawab|mendiagnosis)"
    r"|không thể (?:giúp|cung cấp|trả lời|chẩn đoán|hỗ trợ|phân tích)"
    r"|(?:मदद|सहायता|निदान|उत्तर|जवाब)[^\u0964\n]{0,10}?नहीं (?:कर|दे)"
    r"|لا (?:أستطيع|يمكنني|يمكننا) ?(?:المساعدة|تقديم|مساعدتك|الإجابة|تشخيص|تحليل)"
)
_UNSEEN = re.compile(f"{unseen.ENGLISH}|{unseen.OTHERS}", re.IGNORECASE)
_DECLINES = re.compile(f"{_ENGLISH}|{_OTHERS}|{_UNSEEN.pattern}", re.IGNORECASE)
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
    r"(?:i'd|i would) (?:love|like) to (?:help|assist)|i wish i could|"
    r"please (?:provide|upload|share|try|rephrase)|"
    r"thank|understand your|this (?:request|content|image) (?:may|might|contains|"
    r"appears to contain|involves)|"
    r"inappropriate|sensitive|privacy|harmful|unsafe|safety|unfortunately\W*$|professional|"
    r"if you have (?:any|other|more)|"
    r"would you like|instead,? i can|how (?:else )?(?:can|may) i|real (?:person|patient|people))\b"
    r"|^\W*i (?:can't|cannot|won't|am unable to)\W*$"
    r"|恐れ入り|抱歉|对不起|對不起|请咨询|咨询医生|申し訳|죄송|عذر|آسف|खेद"
    r"|\b(?:lo siento|désolée?|leid|desculpe|dispiace|извин\w+|сожалени\w+|üzgünüm|maaf|spijt|"
    r"przepraszam|beklager|tyvärr)\b|xin lỗi",
    re.IGNORECASE,
)
_CONCEDING = re.compile(r"\W*(?:although|though|even though|while|whilst)\b[^,;.]{1,160},", re.I)
_CLAUSES = re.compile(
    r"(?<=[.!?;\u3002\uff01])\s*(?=\S)(?<![A-Z]\.)|\n+"
    r"|,?\s+(?:but|however|nevertheless|nonetheless|that said|yet|still|although|though)\b,?\s*"
    r"(?!(?:unfortunately,?\s)?(?:i|we)\b)|,\s+(?=(?:the|there|these|it|its)\b)"
    r"|,?\s+(?:pero|sin embargo|mais|toutefois|cependant|aber|jedoch|doch|mas|porém|ma|però|maar|"
    r"но|однако|nhưng|ama|fakat|tetapi|لكن|ولكن|लेकिन|परंतु)(?!\w)(?!\s(?:je|ich|ik|io|eu|я)\s),?\s*"
    r"|[,、]?\s?(?:但是?|不过|不過|然而)|が[,、]\s?|(?:지만|으나)[,\s]\s?",
    re.IGNORECASE,
)


def _by_concession(clause: str) -> list[str]:
    """What "while" and "although" concede, and what is said all the same."""
    found = _CONCEDING.match(clause)
    return [clause] if found is None else [found[0], clause[found.end() :]]


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
    clauses = [
        c for whole in _CLAUSES.split(words) if whole for c in _by_concession(whole) if c.strip()
    ]
    left = [c for c in clauses if not _DECLINES.search(c) and not _AROUND.search(c)]
    rest = "\n".join(c.strip(" ,.;:") for c in left)
    if not re.search(r"\w", rest):
        return True
    if task == "multiple-choice":
        return read_choice(rest, choices).answer is None
    if task == "blank-filling":
        return read_blanks(rest).answer is None
    return False
