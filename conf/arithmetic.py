"""What a model takes of a card, and how fast it can be at best: arithmetic, nothing measured.

Time is that of one H100 (989 TFLOP/s dense in bfloat16, 3.35 TB/s): a prompt at 45 % of the one,
each token of a reply at 60 % of the other (NVIDIA H100 SXM data sheet; the shares are a guess).
"""

from dataclasses import dataclass

GIB = 2**30
# Of a card that is sold as so many GB: what its driver shows, in GiB; others by 0.94.
_CARDS = {24: 23.5, 48: 44.5, 80: 79.1, 96: 94.5, 141: 139.8, 192: 191.5}
USED = 0.92  # vLLM's `gpu_memory_utilization`
_FLOPS = 0.45 * 989e12
_BYTES = 0.60 * 3.35e12
_MOST_AT_ONCE = 256


@dataclass
class SizeConf:
    """One size of a family. What nobody knows is left out, and then nothing is made of it."""

    architecture: str = ""  # what its config.json names
    weights_gib: float | None = None
    active_gib: float | None = None  # of them, read for one token; None: all
    heads: int | None = None  # of attention
    layers: int | None = None  # that keep every token
    kv_heads: int | None = None
    head_size: int | None = None
    window_layers: int = 0  # beside `layers`: they keep the last `window` tokens
    window: int = 0
    kv_kib: float | None = None  # of a token's keys and values, where it is no product of these
    state_mib: float = 0.0  # of a request whatever its length: layers without keys and values
    positions: int | None = None  # tokens that the model was made for
    picture_s: float | None = None  # a picture that it draws, on one H100
    source: str = ""  # where these numbers were read


def card_gib(card: int) -> float:
    """The memory of a card of so many GB, in GiB."""
    return _CARDS.get(card, card * 0.94)


def kv_bytes(size: SizeConf, tokens: float, width: float = 2.0) -> float | None:
    """Bytes of the keys and values of a request of so many tokens; None when a number is missing.

    Args:
        size: whose layers.
        tokens: of the request, its reply included.
        width: bytes of a number: 2, or 1 where keys and values are kept in 8 bits.
    """
    state = size.state_mib * 2**20
    if size.kv_kib is not None:
        return size.kv_kib * 1024 * tokens + state
    if size.layers is None or size.kv_heads is None or size.head_size is None:
        return None
    each = size.kv_heads * size.head_size * 2 * width
    kept = min(tokens, size.window) * size.window_layers
    return each * (size.layers * tokens + kept) + state


@dataclass(frozen=True, slots=True)
class Fit:
    """Memory of one model over its cards, in GiB. `left` and `request` are None when not known."""

    given: float  # of all its cards, as far as it is used
    weights: float | None
    room: float
    left: float | None  # for keys and values
    request: float | None  # of one request of the longest kind
    context: int

    @property
    def fits(self) -> bool | None:
        """Whether one request of the longest kind can run; None when a number is missing."""
        if self.left is None:
            return None
        if self.left <= 0:
            return False
        return None if self.request is None else self.request <= self.left

    @property
    def words(self) -> str:
        """The same in a sentence."""
        if self.left is None:
            return f"{self.given:.1f} GiB given; how large the weights are is not known"
        if self.left <= 0:
            held = f"{self.weights:.1f} GiB of weights and {self.room:.1f} for a step"
            return f"does not fit: {held} in {self.given:.1f} GiB"
        if self.request is None:
            return f"{self.left:.1f} GiB left; what a token takes is not known"
        needed = f"{self.request:.1f} needed for one request of {self.context:,}"
        return f"{self.left:.1f} GiB left, {needed}"


@dataclass(frozen=True, slots=True)
class Cards:
    """The cards of one model: how many, of how many GiB, and the room of a step on each."""

    gib: float
    count: int = 1
    room: float = 1.5


def fit(size: SizeConf, cards: Cards, context: int, width: float = 2.0) -> Fit:
    """How a model of a size lies in its cards; `width` is that of `kv_bytes`."""
    given, weights = cards.gib * cards.count * USED, size.weights_gib
    kept = cards.room * cards.count
    left = None if weights is None else given - weights - kept
    kept_bytes = kv_bytes(size, context, width)
    # A head of keys and values that is on two cards is kept twice.
    copies = max(1.0, cards.count / size.kv_heads) if size.kv_heads else 1.0
    request = None if kept_bytes is None else kept_bytes * copies / GIB
    return Fit(given, weights, kept, left, request, context)


def seconds(size: SizeConf, found: Fit, tokens_in: int, tokens_out: int, gpus: int) -> float | None:
    """Seconds of a sample at best, when cards are kept full; None where a number is missing."""
    held = kv_bytes(size, tokens_in + tokens_out)
    read_kv = kv_bytes(size, tokens_in + tokens_out / 2)
    if (
        size.weights_gib is None
        or held is None
        or read_kv is None
        or not found.left
        or found.left <= 0
    ):
        return None
    active = (size.active_gib or size.weights_gib) * GIB
    at_once = found.left * GIB / max(held, 1.0)
    batch = min(float(_MOST_AT_ONCE), max(1.0, at_once))
    # Mixtures read nearly all their experts once a batch is large.
    read = size.weights_gib * GIB / batch + read_kv
    return (tokens_in * active / _FLOPS + tokens_out * read / _BYTES) / gpus
