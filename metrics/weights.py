"""Model weights: what each metric needs, where it lies, and whether it is what it should be.

Nothing is downloaded unless `fetch` is called. Weights lie in `$MEDGEN_WEIGHTS/<name>/`
(default `~/.cache/medgen/weights`); a mirror with the same layout, `$MEDGEN_WEIGHTS_MIRROR`, a
directory or any fsspec URL, serves machines without a network.
"""

from engine.errors import AdapterError


class MissingWeightsError(AdapterError):
    """Weights are not on this machine; the message says how to fetch them."""
