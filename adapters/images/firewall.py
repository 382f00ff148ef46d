"""The output firewall: what a model returned is decoded whole before it is stored.

Every peculiarity is recorded in the row's details, and each has one declared policy. Bytes are
never changed: what was returned is what is kept, also when the row is `invalid_image`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from PIL import Image as Pillow

from medgen.engine.codec import plain
from medgen.engine.data import Image, Prediction, Sample
from medgen.engine.errors import ImageError
from medgen.engine.images import DEEP_GREY, MAX_PIXELS, open_image, orientation
from medgen.engine.settings import Settings, read

Policy = Literal["accept", "reject"]

# What cannot be decoded cannot be scored: these policies are not for configuration.
_UNDECODABLE: Mapping[str, Policy] = {
    "not_an_image": "reject",
    "damaged": "reject",  # truncated files too
    "oversized": "reject",  # more pixels than may be decoded: a bomb
    "animated": "reject",  # no telling which frame is meant
    "without_range": "reject",  # floating-point or 32-bit pixels: no telling what white is
}


class FirewallPolicy(Settings, frozen=True, kw_only=True):
    """What becomes of a picture that can be decoded and is peculiar."""

    grayscale: Policy = "accept"  # metrics turn every mode into RGB
    palette: Policy = "accept"
    cmyk: Policy = "accept"
    deep: Policy = "accept"  # more than 8 bits a channel
    transparent: Policy = "accept"  # an alpha channel that hides something
    rotated: Policy = "accept"  # EXIF orientation; recorded, not applied, as by the evaluator
    wrong_size: Policy = "accept"  # metrics resize the candidate to the reference
    blank: Policy = "accept"  # one colour: a bad picture, which the metrics should say
    copy_of_input: Policy = "accept"  # doing nothing is a result, and has its own control


POLICY: Mapping[str, Policy] = {**_UNDECODABLE, **plain(FirewallPolicy())}
_TIFF_BITS = 258


class Firewall:
    """Inspects the pictures of predictions. Holds no state besides its policy."""

    def __init__(
        self,
        policy: Mapping[str, str] | FirewallPolicy | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """`policy` holds fields of `FirewallPolicy`.

        Raises:
            ConfigError: an unknown case or policy, or a case that can only be rejected.
        """
        chosen = plain(read(FirewallPolicy, policy, "firewall"))
        self.policy: Mapping[str, str] = {**_UNDECODABLE, **chosen}
        self.max_pixels = max_pixels

    def admit(
        self, prediction: Prediction, sample: Sample, size: tuple[int, int] | None = None
    ) -> Prediction:
        """The prediction with the findings on each of its pictures in `details["images"]`.

        The first picture is the one that is scored, so it decides the status. The number of
        pictures is in `details["image_count"]`.

        Args:
            prediction: what the model gave, status ok.
            sample: what it was given.
            size: (width, height) that was asked for; None for the first input picture's size.
        """
        if not prediction.images:
            return prediction
        inputs = _decode(sample.input_images)
        expected = size or (inputs[0].size if inputs else None)
        seen = [self.inspect(i.data, inputs, expected) for i in prediction.images]
        details = {**prediction.details, "images": seen, "image_count": len(seen)}
        rejected = [case for case in seen[0]["cases"] if self.policy[case] == "reject"]
        if rejected and prediction.status == "ok":
            why = seen[0].get("error") or "policy of the output firewall"
            reason = f"{', '.join(rejected)}: {why}"
            return replace(prediction, status="invalid_image", reason=reason, details=details)
        return replace(prediction, details=details)

    def inspect(
        self,
        data: bytes,
        inputs: Sequence[Pillow.Image] = (),
        expected: tuple[int, int] | None = None,
    ) -> dict[str, Any]:
        """What one picture is like, as JSON: `cases` holds keys of `POLICY`."""
        try:
            image = open_image(data, self.max_pixels)
        except ImageError as err:
            return {"bytes": len(data), "cases": [err.case], "error": str(err)}
        bits = _bits(image, data)
        cases = {
            "grayscale": image.mode in ("1", "L", "LA", *DEEP_GREY),
            "palette": image.mode in ("P", "PA"),
            "cmyk": image.mode == "CMYK",
            "deep": bits > 8,
            "transparent": _transparent(image),
            "rotated": orientation(image) != 1,
            "wrong_size": expected is not None and image.size != expected,
            "blank": _blank(image),
            "copy_of_input": any(_same(image, given) for given in inputs),
        }
        return {
            "bytes": len(data),
            "format": image.format,
            "mode": image.mode,
            "bits": bits,
            "size": list(image.size),
            "cases": [name for name, present in cases.items() if present],
        }

    def passport(self) -> dict[str, Any]:
        """The policy that held."""
        return {"policy": dict(self.policy), "max_pixels": self.max_pixels}


def _decode(images: Sequence[Image]) -> list[Pillow.Image]:
    """The input pictures that can be decoded; others cannot have been copied."""
    decoded = []
    for image in images:
        try:
            decoded.append(open_image(image.data))
        except ImageError:
            continue
    return decoded


def _bits(image: Pillow.Image, data: bytes) -> int:
    """Bits a channel in the file; Pillow itself reads 16-bit RGB as 8."""
    if image.format == "PNG":
        return data[24]  # IHDR: signature 8, length 4, name 4, width 4, height 4, then depth
    if image.format == "TIFF":
        stored = image.tag_v2.get(_TIFF_BITS, (1,))  # type: ignore[attr-defined]
        return int(max(stored) if isinstance(stored, tuple) else stored)
    return 1 if image.mode == "1" else 8


def _transparent(image: Pillow.Image) -> bool:
    if not image.has_transparency_data:
        return False
    low = image.convert("RGBA").getchannel("A").getextrema()[0]
    return isinstance(low, int | float) and low < 255


def _blank(image: Pillow.Image) -> bool:
    """One colour everywhere, whatever the alpha channel holds."""
    if image.mode in ("1", "P", "PA", "LA", "RGBA", "La", "RGBa"):
        image = image.convert("RGB")
    extrema = image.getextrema()
    pairs = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(low == high for low, high in pairs)


def _same(image: Pillow.Image, other: Pillow.Image) -> bool:
    """Equal pixels once both are RGB, whatever the files look like."""
    if image.size != other.size:
        return False
    return image.convert("RGB").tobytes() == other.convert("RGB").tobytes()
