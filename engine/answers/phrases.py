"""Patterns that state, weaken or take back a choice, from the words of `languages`."""

import re

from medgen.engine.answers.languages import (
    ANSWER,
    END,
    ENGLISH,
    IS,
    NOT,
    OPTION,
    RIGHT,
    SIGN,
    THE,
)
from medgen.engine.answers.languages import INSTEAD as TURNING

# What makes a letter part of a word: Latin, Greek, Cyrillic.
NEAR = r"[A-Za-z0-9_\u00c0-\u024f\u0370-\u052f\u1e00-\u1fff]"
NAME = r"[A-Za-z]{1,4}|\d{1,2}|[^\W_A-Za-z0-9]|\u0627\u0644\u0641"  # what a label may be
_SUFFIX = r"['-](?![dt][i\u0131u\u00fc]r\b)"  # Turkish declines a letter: B'dir
LABEL = rf"[(\[<{{\"#]?\s?(?P<label>{NAME})\s?[)\]>}}\"]?(?!{NEAR}|{_SUFFIX}{NEAR})"

_ADVERB = (
    r"clearly|definitely|most likely|likely|probably|therefore|thus|indeed|simply|claramente|"
    r"probablemente|wahrscheinlich|probablement|eindeutig"
)
_ABOUT = r"(?:\s+(?:to|for|of)\s[^\n.:;]{1,80}?|,\s[^\n.:;,]{1,40},)?"
_MORE = rf"(?:\s*(?:{RIGHT}|here|below|above|number|letter|choice|option){END}){{0,2}}"
_COPULA = rf"\s*(?:(?:(?:{IS}){END}|{SIGN})\s*)"
_THE = rf"(?:(?:{THE}|(?-i:[ao])(?=\s(?-i:[A-Z])\b))\s)?"
_OBJECT = rf"(?:{_ADVERB})?\s*{_THE}\s*(?:l')?(?:(?:{OPTION}|answer){END})?\s*:?\s*"

# "The answer is": what introduces a statement, strongest words only.
ANSWER_IS = re.compile(
    rf"(?:(?<!\w)(?:(?:{RIGHT}|my)\s+){{0,3}}(?:{ENGLISH}|{OPTION}){END}{_ABOUT}{_MORE}"
    rf"{_COPULA}+{_OBJECT}"
    rf"|(?<!\w)(?:(?:{RIGHT})\s+){{0,2}}(?:{ANSWER}){END}{_MORE}(?:{_COPULA})*{_OBJECT}"
    r"|(?<!\w)(?:right|true|primary|most likely|(?:top|first) choice):\s?"
    rf"|(?<!\w)(?:{RIGHT})\s+one{END}{_COPULA}+{_OBJECT}"
    rf"|(?<!\w)(?:correct|final|selected|richtig|korrekt|correcta|correcte|correta|corretta|правильно|верно"
    rf"|do\u011fru)(?:{_COPULA})+{_OBJECT}"
    r"|\b(?:i'm|i am|we are)\s+going\s+with\s+(?:option|choice)?\s*"
    r"|\b(?:i|we)(?:'ll|'d|\s+would|\s+will)?\s+(?:choose|chose|select|selected|pick|picked|"
    r"answer|go with|went with|opt for)\s+(?:option|choice|answer|letter)?\s*:?\s*"
    r"|(?<!\w)(?:elijo|escojo|elegiría|je choisis|ich wähle|escolho|scelgo|выбираю|chọn|เลือก)\s*"
    r"(?:la |l'|a |die )?(?:opci\u00f3n|option|letra)?\s*:?\s*"
    r"|(?:正确|正しい|最终|最佳|最終)?(?:的)?"
    r"(?:答案|答え|回答|正解|正答|选项|選項|選択肢|答(?=:))"
    r"\s?[\]\"]?\s?(?:应该|應該|应)?\s?(?:是|为|為|选|選|は|が|:|=)?"
    r"\s?(?:选项|選項|選択肢)?\s?:?\s?|(?:故|应|應|我|因此)?"
    r"(?:选择|選擇|选|選)\s?:?\s?"
    r"|(?:정답|답변|답)\s?(?:은|는|:|=)\s?:?\s?)",
    re.IGNORECASE,
)
_RIGHT_ONE = rf"(?:(?:{RIGHT}|single)\s+){{0,3}}(?:{RIGHT}|{ENGLISH}|{ANSWER}|{OPTION}|one){END}"
_BEST = r"(?:best|most accurately|most closely|correctly|accurately|best of all)"
IS_ANSWER = re.compile(
    rf"(?<!{NEAR})(?:(?:{OPTION}|{ENGLISH}|{ANSWER})\s?)?{LABEL}"
    rf"(?:\s?\([^()\n]{{1,60}}\))?\s+"
    rf"(?:(?:(?:{IS})|seems)\s+(?:clearly\s|definitely\s|also\s|indeed\s)?(?:(?:{THE}|my)\s)?{_RIGHT_ONE}"
    rf"|(?:{IS})\s+(?:the\s)?(?:better|preferred|favou?red|(?:more|most) (?:likely|consistent|"
    r"probable|plausible|compatible|appropriate))\b|remains(?=\s*(?:[.!,;]|$))"
    rf"|(?:{IS})\s(?:it(?=\s?(?:[.!]|$|\n))|what i(?:'d| would)? (?:choose|pick|select|answer)\b)"
    rf"|{_BEST}\s[a-z]+\b|(?:fits|matches|describes|explains)\b[^.;\n]{{0,60}}?\bbest\b)",
    re.IGNORECASE,
)
IS_ANSWER_HAN = re.compile(
    rf"(?<!{NEAR}){LABEL}\s?(?:选项|選項|項|项|番)?\s?(?:是|が|は|가|이)?\s?"
    r"(?:正确|正確|对的|對的|正解|正しい|正答|最も適切|最符合|最合适|最合適|"
    r"정답|맞습|맞다|옳|가장 적절)"
)
ONLY_ANSWER = re.compile(
    rf"\bonly\s(?:option\s)?{LABEL}(?:\s(?:fits|matches|is|remains|explains|applies|"
    r"works|describes)\b|(?=\s?(?:[.!]|$|\n)))",
    re.IGNORECASE,
)
CALLED_RIGHT = re.compile(
    rf"(?<!{NEAR}){LABEL}(?:\s?(?:[:=?]|\(|-\s)\s?(?:is\s)?"
    r"(?:correct|right|true|yes|most likely)(?=\s?(?:[).,;]|$|\n))|\s(?:верно|правильно)(?!\w))",
    re.IGNORECASE,
)
ALL_BUT = re.compile(
    r"\b(?:all|everything|every option|each option)\s(?:options?\s|of them\s|others?\s)?"
    rf"(?:but|except(?: for)?|other than|apart from)\s(?:option\s)?{LABEL}\s(?:is|are|can be|"
    r"could be|must be)\s(?:all\s|clearly\s)?(?:wrong|incorrect|false|excluded|ruled out|"
    r"eliminated|unlikely|out)\b",
    re.IGNORECASE,
)
# "A is not correct; B is."
IT_IS = re.compile(
    rf"(?:\bnot\b|n't\b|\bneither\b|\bwrong\b|\bincorrect\b|\bm(?:ay|ight)\s(?:seem|look|appear)\b)[^.\n]{{1,60}}?(?:[;,.]|\bbut|\band)\s"
    rf"(?:but\s)?(?:option\s)?{LABEL}\s(?:is|does)(?=\s?(?:[.!]|$|\n))",
    re.IGNORECASE,
)
# A line that begins with what is not the answer: "Not A but C".
NOT_THIS = re.compile(r"^\s*(?=(?:not|nicht|pas|не)\s)", re.IGNORECASE | re.MULTILINE)
WEAKLY = re.compile(
    r"\b(?:(?:it|this|that)(?:'s|'d be| is| has to be| must be| should be| would be| could be|"
    r" might be| may be)|i'd say|the (?:statement|claim|sentence|assertion) is|"
    r"i (?:think|believe|say|guess|suspect|would say)(?: that)?(?: it(?:'s| is))?|therefore|thus|"
    r"hence|so|conclusion|diagnosis(?: is)?|consistent with|suggests?|indicates?"
    r"|(?:definitely|clearly|obviously|certainly|surely|undoubtedly|absolutely|of course)"
    r"|vote for|go(?:ing)? with|i'll take|supports?|fits?|match(?:es)?|points? (?:to|at)|favou?rs?"
    r"|(?:most )?(?:likely|probable)|probably|presumably|perhaps|maybe|choose|select|pick"
    r"|leav(?:es|ing)(?: us)?(?: with)?(?: only)?|by (?:process of )?(?:elimination|exclusion)"
    r"|without (?:a |any )?doubt|no doubt(?: about it)?|(?<=[,;]\s)but|(?<=[,;.]\s)however"
    r"|(?:based|relying) on (?:the|this) (?:[a-z-]+\s){0,2}(?:images?|pictures?|scans?|findings?)"
    r"|lean(?:ing)?(?: more)? towards?|ergo|sondern|sino|(?<=,\s)а|in this (?:case|image|patient)"
    r"|i(?:'d| would)? call (?:it|this)"
    r"|(?:after|on|upon) (?:further |closer |careful )?(?:review|reflection|inspection)"
    r"|(?<=[,;.]\s)(?:pero|mas|ma|mais|aber|но|maar|ale)(?:\s(?:c'est|es ist|es|é|è|это|to|is)\b)?"
    r"|creo que(?: es)?"
    r"|je pense que(?: c'est)?|ich denke,?(?: es ist| dass es)?|acho que(?: é)?|penso che(?: sia)?"
    r"|думаю,?(?: что)?(?: это)?"
    r"|c'est|das ist|es ist|es la|es el|(?<=,\s)es|(?<=,\s)[éè]|é a|è la|это)[\s:,]+"
    r"(?:option|choice|letter|la|le|die|der)?\s*"
    r"|(?:应该?是|应为|可能是|而是|ではなく|じゃなく|でもなく|아니라|아니고)[,\u3001]?\s?",
    re.IGNORECASE,
)
NO_STATEMENT = re.compile(
    r"(?:\b(?:wrong|incorrect|not|no|least likely|second|third|next|initial|first|previous|earlier|"
    r"original|preliminary|tentative|alternative|obvious|apparent|popular|naive|intuitive|tempting|"
    r"falsche|mauvaise|fausse|неправильный|неверный|"
    r"errada|sbagliata)|n't)\s+(?:the\s)?$|(?:错误|錯誤|不正确|不正確|誤った)的?$|不$|"
    r"(?:\b(?:tempting|at first|(?:some|many|one|people|others)(?: [a-z]+)? "
    r"(?:may|might|would|could)|"
    r"if|whether|unless|suppose|doubt)|n't)\b[^.,;\n]*$|[误誤]$|"
    # What is said not to be so ends where its reason or its contrast begins.
    r"\b(?:neither|nor|not|incorrect|wrong|false|least likely)\b"
    r"(?:(?!\b(?:because|since|as|while|whereas|but|so|and|is that)\b)[^.,;\n])*$"
    # A question states nothing.
    r"|(?:^|[.!?\n])\s?(?:is|was|could|can|should|would|might|why(?:\sis|\snot|\sisn't)?)"
    r"\s(?:the\s|it\s|my\s)?(?:correct\s|right\s|final\s)?$"
)
LEAD = re.compile(
    rf"\s*(?:[-=]>\s?)?(?:(?:{OPTION}|{ENGLISH}|{ANSWER}|label){END})?\s*:?\s?{LABEL}",
    re.IGNORECASE,
)
NAMED = re.compile(rf"(?<!\w)(?:{OPTION}|{ENGLISH}|{ANSWER})\s+{LABEL}", re.IGNORECASE)
PAREN = re.compile(rf"(?<!{NEAR})\((?P<label>{NAME})\)")
ARTICLE = re.compile(
    r"(?:a|an|the|el|la|un|una|le|les|ein|eine|einen|der|die|das|um|uma|il|lo)\s+", re.IGNORECASE
)
DENIAL = re.compile(
    rf"(?:definitely\s|clearly\s|probably\s)?(?:(?:{NOT}){END}|不是|并非|並非|不)", re.IGNORECASE
)
INSTEAD = re.compile(
    rf"(?<!\w)(?:{TURNING})(?:\s(?:es|ist|est|the|la|die))*\s+"
    r"|,\s(?:it|this|that)(?:'s|\sis)\s+|(?:而是|应是|应为)\s?",
    re.IGNORECASE,
)
# Another label right after the first: "A or B", "A, C", "A/B", "A and C", "A through C".
ANOTHER = re.compile(
    r"\s?\(?(?:,|/|&|\+|;|\?+|\b(?:or|and|through|to|o|ou|oder|или|of|lub|atau|y|e|et|und|и|en|ve|veya)\b"
    r"|或|和|及|と|または|또는|과|와|\u3001|-)\s?(?:\b(?:or|and)\b)?\s?"
    r"(?:(?:maybe|perhaps|possibly|probably|alternatively|(?:most )?likely)\s)?"
    rf"(?:option|choice)?\s?{LABEL}"
    r"(?=\s*(?:[,.;:)/&+?\u3002]|or\b|and\b|both\b|are\b|can\b|could\b|were\b|all\b|[错錯不都均被是皆はがも는은]|$|\n))",
    re.IGNORECASE,
)
# Another option's words right after the first's.
AND_ANOTHER = re.compile(
    r"\s?[,;/.!?]?\s?(?:(?:but|and|or|then|also|possibly|probably|perhaps|maybe"
    r"|(?:most )?likely)\s)*(?:an?\s|the\s)?",
    re.IGNORECASE,
)
LISTED = re.compile(
    rf"\s?(?:,|;|\b(?:and|or)\b)\s?(?:(?:and|or)\s)?{LABEL}\s?[.):]\s?", re.IGNORECASE
)
# What may stand after a label at the beginning of a line for it to be the answer.
MARKED = re.compile(
    r"\s?[.):!?\]\u3001\u3002\u2026](?!\w)|\s?[.)\]\u3001\u3002](?=\w{2})|\s?-\s|\s?[;\n]|\s*$|,\s"
    r"|,(?=[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af])|选项|選項|번|\s?\((?=[^\x00-\x7f])"
    r"|\s?\((?=[^()\n]{0,80}\b(?:excluded|ruled out|wrong|incorrect|not|unlikely)\b)"
    r"|\s?\((?=(?:(?:high|low|medium|moderate|very)\s)?(?:confiden|probab|certain|sure)|~?\d{1,3}\s?%)"
)
# What takes back the answer that stands before it, and gives another.
CORRECTED = re.compile(
    r"(?:\b(?:no,?\s)?wait\b|\bactually\b|\bcorrection\b|\bscratch that\b|\bi mean(?:t)?\b|"
    r"\bon second thoughts?\b|\b(?:oops|sorry)\b|(?:\.\.|\u2026|-)\s?no\b|"
    r"(?<=,)\sno(?=\s?[,.;:!-]))[ ,.:;!\u2026-]{1,6}"
    r"(?:no,?\s)?"
    r"(?:i (?:meant?|choose|pick)\s|it(?:'s| is)\s|make (?:it|that)\s)?",
    re.IGNORECASE,
)
# A word that takes a plural by an s.
PLURAL = re.compile(r"[a-z]{4}(?<!s)$")
# What is said of options: that it is neither of them.
NEITHER = re.compile(
    r"\bneither\s(?P<things>[^.;\n]{1,200}?\bnor\s[^.,;\n]{1,80}?)"
    r"(?=\s(?:is|are|was|were|can|could|fits?|explains?|appl(?:y|ies)|seems?)\b|[.,;\n]|$)",
    re.IGNORECASE,
)
NOR = re.compile(r"\s?,?\s(?:nor|or)\s|,\s", re.IGNORECASE)
# An option that is named by its place.
ORDINAL = re.compile(
    r"(?<!\w)(?:(?:the\s)?(?:(?:correct|final|best|right)\s)?(?:answer|choice)(?:\sis|:)\s?)?"
    r"(?:it(?:'s| is)\s|i(?:'d| would| will|'ll)?\s(?:choose|pick|select|go with|go for|say)\s)?"
    r"(?:(?:the\s)?(?P<place>first|second|third|fourth|fifth|sixth|last|1st|2nd|3rd|[4-6]th)\s"
    r"(?:option|choice|alternative|one|answer|item)"
    r"|(?:option|choice|alternative)\s(?:number\s|no\.?\s|#)?"
    r"(?P<count>one|two|three|four|five|six|[1-6]))"
    r"(?=\s*(?:[.!,;:]|$|(?:because|since|as|for)\b|(?:is|seems|fits|looks)\s(?:the\s)?"
    r"(?:correct|right|best|true|(?:correct |right |best )?answer)\b))",
    re.IGNORECASE,
)
PLACES = (
    ("first", "1st", "one", "1"),
    ("second", "2nd", "two", "2"),
    ("third", "3rd", "three", "3"),
    ("fourth", "4th", "four", "4"),
    ("fifth", "5th", "five", "5"),
    ("sixth", "6th", "six", "6"),
)
# Another label right before one that is called right: "both A and C are right".
JOINED = re.compile(
    rf"(?<!{NEAR})(?P<label>[A-Za-z])\s?(?:/|&|\b(?:or|and|y|e|et|ou|oder|und|и)\b)\s?"
    r"(?:option\s?)?$",
    re.IGNORECASE,
)
# What calls the option before it right, in a line of its own.
AFFIRMED = re.compile(
    r"\s?(?:-|:|,|\(|is\b|->|=>)\s?(?:this is\s|is\s)?(?:the\s)?(?:correct|right|true)\b"
    r"(?! but| only)",
    re.IGNORECASE,
)
YES = re.compile(r"\s?[-:=]?\s?yes\b(?! but| only| and no)", re.IGNORECASE)
LINK = re.compile(
    r"\s?(?:,|/|&|\b(?:or|and|nor|und|oder|et|ou|y|o|e|и|или)\b|和|或|及|、)+\s?(?:and\s|or\s)?(?:an?\s|the\s)?"
)
REASON = re.compile(
    r"\s+(?:because|since|as it|as the|due to|rather than|instead of|(?:and |but )?not|it is|"
    r"please|"
    r"i (?:guess|think|believe|suppose|would say)|over (?:option )?[A-Z])\b",
    re.IGNORECASE,
)
# After these a stop ends no sentence: "see fig. B".
ABBREVIATED = re.compile(
    r"\b(?:figs?|no|nos|dr|st|vs|e\.g|i\.e|cf|approx|img|ref)\.\s*$", re.IGNORECASE
)
# Words that weaken what follows them, which stand free of what comes before.
PERHAPS = re.compile(
    r"(?:definitely|clearly|obviously|certainly|maybe|perhaps|probably|without|no doubt|but|by|"
    r"based|leaving|es|é|è|c'est|это|absolutely|of course|"
    r"presumably|likely|most likely|therefore|thus|hence|so)\b",
    re.IGNORECASE,
)
_INITIALS = re.compile(r"\.\s?(?:[A-Z]\.\s?)+[A-Z][a-z]")
# Words that follow an initial in the names of organisms, as in "E. coli".
_EPITHETS = frozenset(
    (
        *("coli", "difficile", "albicans", "pylori", "aureus", "pneumoniae", "perfringens"),
        *("botulinum", "tetani", "faecalis", "faecium", "fumigatus", "burgdorferi", "influenzae"),
        *("tuberculosis", "gondii", "vivax", "falciparum", "cerevisiae", "elegans", "jejuni"),
        *("monocytogenes", "meningitidis", "gonorrhoeae", "pyogenes", "epidermidis", "typhi"),
        *("fragilis", "lamblia", "jirovecii", "histolytica", "cepacia", "anthracis", "cereus"),
        *("pallidum", "henselae", "melitensis", "enterica", "sonnei", "flexneri", "dysenteriae"),
        *("mirabilis", "marcescens", "cloacae", "baumannii", "maltophilia", "aeruginosa"),
        *("saprophyticus", "agalactiae", "bovis", "canis", "vermicularis", "stercoralis", "auris"),
        *("lumbricoides", "trichiura", "saginata", "solium", "mansoni", "haematobium", "japonicum"),
        *("braziliensis", "donovani", "cruzi", "brucei", "immitis", "capsulatum", "dermatitidis"),
        *("marneffei", "niger", "flavus", "parapsilosis", "glabrata", "krusei", "acnes"),
        *("pneumophila", "psittaci", "burnetii", "multocida", "hominis", "vaginalis", "scabiei"),
        *("neoformans", "trachomatis", "pertussis", "cholerae", "leprae", "avium", "granulosus"),
    )
)
# What a reference may begin with: "The answer is B".
INTRO = re.compile(
    r"\A(?:the\s)?(?:correct\s)?(?:answer|option|choice)(?:\sis)?\s?:?\s", re.IGNORECASE
)
# One clause, up to its reason or its end.
CLAUSE = re.compile(
    r"(?:[^.,;:!?\n\u3002]|[.,](?=\d)){1,200}?(?=\s(?:because|since|as)\b|[.,](?!\d)|[;:!?\n\u3002]|$)"
)


def is_part_of_a_name(rest: str) -> bool:
    """Whether what follows a letter makes it one of a name: "E. coli", "C. J. Smith"."""
    word = re.match(r"\.\s?([a-z]+)", rest)
    return bool(word and word[1] in _EPITHETS) or bool(_INITIALS.match(rest))
