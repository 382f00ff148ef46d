"""The output firewall: what a model returned is decoded whole before it is stored.

Every peculiarity is recorded in the row's details, and each has one declared policy. Bytes are
never changed: what was returned is what is kept, also when the row is `invalid_image`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from medgen.engine.bounds import REPLY, Budget
from medgen.engine.codec import plain
from medgen.engine.data import Prediction, Sample
from medgen.engine.decoding.pool import examine
from medgen.engine.errors import ImageError
from medgen.engine.images import DEEP_GREY
from medgen.engine.settings import Settings, read

Policy = Literal["accept", "reject"]

# What cannot be decoded cannot be scored: these policies are not for configuration.
_UNDECODABLE: Mapping[str, Policy] = {
    "not_an_image": "reject",
    "damaged": "reject",  # truncated files too
    "oversized": "reject",  # more pixels than may be decoded: a bomb
    "animated": "reject",  # no telling which frame is meant
    "costly": "reject",  # more time or memory than one reply may take
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


class Firewall:
    """Inspects the pictures of predictions. Holds no state besides its policy."""

    def __init__(self, policy: Mapping[str, str] | FirewallPolicy | None = None) -> None:
        """`policy` holds fields of `FirewallPolicy`.

        Raises:
            ConfigError: an unknown case or policy, or a case that can only be rejected.
        """
        chosen = plain(read(FirewallPolicy, policy, "firewall"))
        self.policy: Mapping[str, str] = {**_UNDECODABLE, **chosen}

    def admit(
        self, prediction: Prediction, sample: Sample, size: tuple[int, int] | None = None
    ) -> Prediction:
        """The prediction with the findings on each of its pictures in `details["images"]`.

        The first picture is the one that is scored, so it decides the status. The number of
        pictures is in `details["image_count"]`. All of them have one budget of time.

        Args:
            prediction: what the model gave, status ok.
            sample: what it was given.
            size: (width, height) that was asked for; None for the first input picture's size.
        """
        if not prediction.images:
            return prediction
        inputs, budget = [image.data for image in sample.input_images], Budget(REPLY)
        seen = [self.inspect(i.data, inputs, size, budget) for i in prediction.images]
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
        inputs: Sequence[bytes] = (),
        expected: tuple[int, int] | None = None,
        budget: Budget | None = None,
    ) -> dict[str, Any]:
        """What one picture is like, as JSON: `cases` holds keys of `POLICY`."""
        try:
            image = examine(data, budget, inputs)
        except ImageError as err:
            return {"bytes": len(data), "cases": [err.case], "error": str(err)}
        expected = expected or image.first_size
        cases = {
            "grayscale": image.mode in ("1", "L", "LA", *DEEP_GREY),
            "palette": image.mode in ("P", "PA"),
            "cmyk": image.mode == "CMYK",
            "deep": image.bits > 8,
            "transparent": image.transparent,
            "rotated": image.orientation != 1,
            "wrong_size": expected is not None and image.size != expected,
            "blank": image.blank,
            "copy_of_input": image.copy,
        }
        return {
            "bytes": len(data),
            "format": image.format,
            "mode": image.mode,
            "bits": image.bits,
            "size": list(image.size),
            "cases": [name for name, present in cases.items() if present],
        }

    def passport(self) -> dict[str, Any]:
        """The policy that held."""
        return {"policy": dict(self.policy), "max_pixels": REPLY.pixels}
