from collections.abc import Callable, Sequence

Smoothing = Callable[..., list[float]]

class SmoothingFunction:
    method1: Smoothing

def sentence_bleu(
    references: Sequence[Sequence[str]],
    hypothesis: Sequence[str],
    smoothing_function: Smoothing,
) -> float: ...
