"""Words that state, weaken or take back a choice, in the languages that benchmarks come in."""

import re

NEAR = r"[A-Za-z0-9_\u00c0-\u024f]"  # what makes a Latin letter part of a word
NAME = r"[A-Za-z]{1,4}|\d{1,2}|[^\W_A-Za-z0-9]"  # what a label may be
LABEL = rf"[(\[<]?\s?(?P<label>{NAME})\s?[)\]>]?(?!{NEAR}|['-]{NEAR})"

# "The answer is": what introduces a statement, strongest words only.
ANSWER_IS = re.compile(
    r"(?:\b(?:(?:final|correct|right|best|my|true|chosen|selected|most likely)\s+){0,3}"
    r"(?:answer|ans|choice|option|selection|response|letter)\b"
    r"(?:\s+(?:to|for|of)\s[^\n.:;]{1,80}?)?(?:\s+(?:here|below|above|number|letter|choice|"
    r"option))?"
    r"\s*(?:(?:is|was|would be|should be|must be|will be|remains|=|:|-|->|=>|is:)\s*)+"
    r"(?:clearly|definitely|most likely|likely|probably|therefore|thus|indeed|simply|option|choice"
    r"|letter|the option|the choice|answer)?\s*:?\s*"
    r"|\b(?:i'm|i am|we are)\s+going\s+with\s+(?:option|choice)?\s*"
    r"|\b(?:i|we)(?:'ll|'d|\s+would|\s+will)?\s+(?:choose|chose|select|selected|pick|picked|"
    r"answer|go with|went with|opt for)\s+(?:option|choice|answer|letter)?\s*:?\s*"
    r"|(?:उत्तर|คําตอบ(?:คือ)?)\s?:?\s?"
    r"|(?:正确|最终|最佳|最終)?(?:的)?"
    r"(?:答案|答え|回答|正解|正答|选项|選項)"
    r"\s?(?:应该|應該|应)?\s?(?:是|为|為|选|選|は|:|=)?"
    r"\s?(?:选项|選項)?\s?:?\s?|(?:故|应|應|我|因此)?"
    r"(?:选择|選擇|选|選)\s?:?\s?"
    r"|(?:정답|답변|답)\s?(?:은|는|:|=)\s?:?\s?"
    r"|(?:la |die |der |das |a |il |le )?(?:respuesta|réponse|antwort|resposta|risposta|"
    r"lösung|opción|opção|antwoord|yanıt|cevap|\u043e\u0442\u0432\u0435\u0442|"
    r"đáp án)(?:\s(?:correcta|correcte|corretta|correta|richtige|finale?|đúng))?"
    r"\s?(?:est\b|es\b|ist\b|é|è|là|la|is|:|=|-)?\s?(?:la |l'|die )?(?:opción|option)?\s?:?\s?"
    r"|(?:الإجابة|الجواب)"
    r"(?:\sالصحيحة|\sالصحيح)?"
    r"\s?(?:هي|هو|:)?\s?:?\s?|"
    r"\u05d4\u05ea\u05e9\u05d5\u05d1\u05d4(?:\s\u05d4\u05e0\u05db\u05d5\u05e0\u05d4)?"
    r"\s?(?:\u05d4\u05d9\u05d0|:)?\s?:?\s?)",
    re.IGNORECASE,
)
IS_ANSWER = re.compile(
    rf"(?<!{NEAR})(?:option|choice|answer)?\s?{LABEL}\s+(?:is|would be|seems|must be)\s+"
    r"(?:clearly\s|definitely\s)?(?:the\s|my\s)?(?:single\s)?(?:most\slikely\s|best\s|"
    r"correct\s|right\s|"
    r"final\s)*(?:correct|right|best|answer|choice|option|true|one)\b",
    re.IGNORECASE,
)
IS_ANSWER_HAN = re.compile(
    rf"(?<!{NEAR}){LABEL}\s?(?:选项|選項|項|项)?\s?(?:是)?"
    r"(?:正确|对的|對的)"
)
WEAKLY = re.compile(
    r"\b(?:it(?:'s| is| must be| should be| would be| could be| might be| may be)|this is|"
    r"i (?:think|believe|say|guess|suspect|would say)(?: that)?(?: it(?:'s| is))?|therefore|thus|"
    r"hence|so|conclusion|diagnosis(?: is)?|consistent with|suggests?|indicates?"
    r"|(?:most )?likely|probably|presumably|perhaps|maybe|choose|select|pick)[\s:,]+"
    r"(?:option|choice|letter)?\s*",
    re.IGNORECASE,
)
NO_STATEMENT = re.compile(
    r"\b(?:wrong|incorrect|not|no|n't)\s+(?:the\s)?$|\b(?:if|whether|unless|suppose|n't|not|"
    r"incorrect"
    r"|wrong|false)\b[^.,;\n]*$"
)
LEAD = re.compile(rf"\s*(?:option|choice|answer|letter)?\s*:?\s?{LABEL}", re.IGNORECASE)
NAMED = re.compile(rf"\b(?:option|choice|answer|letter)\s+{LABEL}", re.IGNORECASE)
PAREN = re.compile(rf"(?<!{NEAR})\((?P<label>{NAME})\)")
ARTICLE = re.compile(r"(?:a|an|the|el|la|un|una|le|les|ein|eine|der|die|das)\s+", re.IGNORECASE)
DENIAL = re.compile(
    r"(?:definitely\s|clearly\s|probably\s)?(?:not|n't|never|neither|unlikely)\b", re.IGNORECASE
)
INSTEAD = re.compile(r"\b(?:but(?: rather)?|rather|instead,?)\s+", re.IGNORECASE)
# Another label right after the first: "A or B", "A, C", "A/B", "A and C", "A through C".
ANOTHER = re.compile(
    rf"\s?(?:,|/|&|\+|;|\bor\b|\band\b|\bthrough\b|\bto\b|或|和|\u3001|-)\s?(?:\bor\b|\band\b)?\s?"
    rf"(?:option|choice)?\s?{LABEL}(?=\s*(?:[,.;:)/&+]|or\b|and\b|both\b|$|\n))",
    re.IGNORECASE,
)
# What may stand after a label at the beginning of a line for it to be the answer.
MARKED = re.compile(
    r"\s?[.):!?\]\u3001](?!\w)|\s?[.)\]\u3001](?=\w{2})|\s-\s|\s?[;\n]|\s*$|,\s|选项|選項"
)
REASON = re.compile(r"\s+(?:because|since|as it|as the|due to)\b", re.IGNORECASE)
# Words that follow an initial in the names of organisms, as in "E. coli".
EPITHETS = frozenset(
    (
        *("coli", "difficile", "albicans", "pylori", "aureus", "pneumoniae", "perfringens"),
        *("botulinum", "tetani", "faecalis", "faecium", "fumigatus", "burgdorferi", "influenzae"),
        *("tuberculosis", "gondii", "vivax", "falciparum", "cerevisiae", "elegans", "jejuni"),
        *("monocytogenes", "meningitidis", "gonorrhoeae", "pyogenes", "epidermidis", "typhi"),
        *("neoformans", "trachomatis", "pertussis", "cholerae", "leprae", "avium", "granulosus"),
    )
)
