"""Words and keys, explained once for pages, terminal and documents."""

GLOSSARY = {
    "passport": "What made a number: implementation, versions, weights, resizing. Equal passports, "
    "comparable numbers.",
    "coverage": "Share of the samples owed that have a value.",
    "oracle": "The reference given as the answer: the most that a metric can say.",
    "floor, ceiling": "The best answer without a model (copy-input, blank, unrelated or text "
    "only), and the oracle.",
    "copy-input, blank, unrelated, text only": "The input given back; an empty answer; another "
    "sample's reference; a model that never saw the picture.",
    "shard": "Some samples that are worked on together.",
    "sentinel": "A fixed case that every judge scores first, to see whether it moved.",
    "view": "What the judge saw: with the reference or without.",
    "profile": "Which definition of a metric: compat as the authors compute it, strict as its "
    "inventors meant it.",
    "pass rate": "Share of values beyond the protocol's threshold.",
    "random weights": "A model that learnt nothing: it shows that the machinery works.",
    "paired": "Both systems on the same samples.",
    "clustered": "Samples of one source image count together.",
    "corrected": "Made harder because many comparisons were made (Holm).",
    "sure": "The interval of the paired difference is without 0, also after correction for all "
    "pairs and at the worst of missing answers; coverage is at least 95 %; there are 30 pairs from "
    "10 sources, and nothing is known against the judge. Likely: the interval is without 0, but "
    "one of the others fails. Alike: within a margin that was given. Not shown: everything else.",
    "judge": "A vision-language model that scores answers.",
    "gap": "Best minus worst score of a sample.",
    "settled": "Asking again would give the same.",
}
KEYS = (
    (("/",), "search samples"),
    (("?",), "this list"),
    (("c",), "copy the link"),
    (("p",), "pin a system (on its row)"),
    (("j", "k"), "next, previous sample"),
    (("Enter",), "open the sample"),
    (("f",), "filters"),
    (("s",), "sort"),
    (("1", "9"), "one system alone; on a sample: sheet, swipe, blink"),
    (("+", "-", "0"), "zoom of the lens"),
    (("x",), "swap the sides of Compare"),
)
