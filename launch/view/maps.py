"""Difference maps of a run's pictures: what differs from the reference, and where.

Absolute and SSIM maps can always be drawn. That of LPIPS needs its network: it is drawn of a run
that scored LPIPS, in the settings of its passport, where the weights are on this machine.
"""

from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

from medgen.engine.data import Image, Prediction, Sample
from medgen.engine.errors import ImageError
from medgen.launch.view import pictures
from medgen.launch.view.data import StoredRun
from medgen.metrics.weights import MissingWeightsError, locate

if TYPE_CHECKING:
    from medgen.metrics.batch import Album
    from medgen.metrics.image.perceptual import LPIPS

_KEPT = 256  # maps, of some 20 KB each
_ALBUMS = 16  # samples whose decoded pictures are kept, for maps of LPIPS
_TRUNKS = {"alex": "lpips-alex-trunk", "vgg": "lpips-vgg-trunk"}
_ARGUMENTS = ("net", "profile", "weights")
Drawn = tuple[bytes, float]


class Maps:
    """The maps of one run, each made once while it is looked at."""

    def __init__(self, data: StoredRun) -> None:
        """Reads nothing yet."""
        self.data = data
        self._kept: OrderedDict[tuple[int, str, pictures.Map], Drawn | None] = OrderedDict()
        self._albums: OrderedDict[int, Album] = OrderedDict()
        self._lock = Lock()

    @cached_property
    def kinds(self) -> tuple[pictures.Map, ...]:
        """The kinds that can be drawn here."""
        return pictures.MAPS if self._recipe is not None else ("absolute", "ssim")

    def drawn(self, position: int, slot: str, kind: pictures.Map) -> Drawn | None:
        """The map of a picture as WebP, and its mean; None where there is nothing to compare."""
        key = position, slot, kind
        with self._lock:
            if key in self._kept:
                return self._kept[key]
        made = self._draw(position, slot, kind)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made

    def _draw(self, position: int, slot: str, kind: pictures.Map) -> Drawn | None:
        output = self.data.picture(position, slot)
        reference = self.data.picture(position, "reference-0")
        if output is None or reference is None or kind not in self.kinds:
            return None
        try:
            if kind == "lpips":
                return self._perceptual(output, reference, self._album(position))
            return pictures.difference(output, reference, kind)
        except ImageError:
            return None

    def _album(self, position: int) -> "Album":
        """The decoded pictures of a sample: the network looks at its reference once."""
        from medgen.metrics.batch import Album

        with self._lock:
            album = self._albums.setdefault(position, Album())
            while len(self._albums) > _ALBUMS:
                self._albums.popitem(last=False)
        return album

    def _perceptual(self, output: bytes, reference: bytes, album: "Album") -> Drawn | None:
        from medgen.metrics.batch import Pair, ScoringBatch
        from medgen.metrics.pictures import DecodeError

        references = (Image(reference, "reference"),)
        sample = Sample("shown", "image", "", "", "", reference_images=references)
        pair = Pair(sample, Prediction("shown", images=(Image(output, "output"),)))
        try:
            found = self._network.where(ScoringBatch([pair], album), 0)
        except DecodeError:
            return None
        return pictures.drawn_map(found, "lpips"), float(found.mean())

    @cached_property
    def _recipe(self) -> Mapping[str, Any] | None:
        """The settings of the run's LPIPS; None where it has none or cannot be made here."""
        if any(find_spec(name) is None for name in ("torch", "lpips")):
            return None
        for node in self.data.plan.nodes.values():
            spec = node.recipe.get("spec", {})
            if spec.get("component") in ("lpips", "lpips_vgg"):
                return self._makeable(spec)
        return None

    def _makeable(self, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
        given = {k: v for k, v in spec.get("settings", {}).items() if k in _ARGUMENTS}
        given.setdefault("net", "vgg" if spec["component"] == "lpips_vgg" else "alex")
        try:
            locate(given.get("weights") or _TRUNKS[given["net"]])
        except MissingWeightsError:
            return None
        return given

    @cached_property
    def _network(self) -> "LPIPS":
        from medgen.metrics.image.perceptual import LPIPS

        made = LPIPS(**(self._recipe or {}))
        made.load("cpu")
        return made
