"""LPIPS: the distance of two pictures in the feature maps of a trained network.

Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features as a
perceptual metric", CVPR 2018; version 0.1 with the linear layers that the `lpips` package ships.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Resampling
from torch.nn import functional

from medgen.engine.data import Prediction, Score
from medgen.engine.errors import AdapterError, ConfigError
from medgen.metrics import weights
from medgen.metrics.batch import ScoringBatch
from medgen.metrics.kernels.winograd import with_fewer_products
from medgen.metrics.pictures import COLOUR, Picture, decode
from medgen.metrics.port import Golden, ImageMetric, Output
from medgen.metrics.profiles import FOLLOWS, Profile, choose_profile, policy_of
from medgen.metrics.samples import image_pair, pattern
from medgen.metrics.versions import versions_of

if TYPE_CHECKING:
    import lpips

T = TypeVar("T")
SIDE = 256  # pixels: both pictures are brought to this square
_TRUNKS: dict[str, tuple[str, str]] = {
    "alex": ("lpips-alex-trunk", "alexnet-owt-7be5be79.pth"),
    "vgg": ("lpips-vgg-trunk", "vgg16-397923af.pth"),
}
# The network's own guard against dividing by the norm of an empty feature vector.
_TINY = 1e-10
Features = list[torch.Tensor]


class LPIPS(ImageMetric):
    """Learned perceptual image patch similarity at 256 x 256; 0 for equal pictures.

    compat: pixels go in as [0, 1], although the network expects [-1, 1], as the benchmark
    authors' first state does; a candidate of another size goes through Lanczos first.
    compat-newer: [-1, 1], and the candidate straight to 256 x 256. strict: as compat-newer,
    with pictures decoded in full (orientation, alpha, depth).
    """

    def __init__(
        self,
        profile: str = "compat",
        net: str = "alex",
        weights: str | None = None,
        batch_size: int = 8,
    ) -> None:
        """`weights` is a directory with the trunk's checkpoint in place of the known one.

        Raises:
            ConfigError: the net or the profile is unknown, or the batch size is not positive.
        """
        if net not in _TRUNKS or batch_size < 1:
            raise ConfigError(f"LPIPS has the nets {', '.join(_TRUNKS)} and a batch size of 1 up")
        self.name = "lpips" if net == "alex" else f"lpips_{net}"
        known = "LPIPS" if net == "alex" else ""
        self.outputs = (Output(self.name, higher_is_better=False, high=None, authors=known),)
        self.profile: Profile = choose_profile("lpips", profile, "compat", "compat-newer", "strict")
        self.policy = policy_of(self.profile)
        self.net, self.batch_size = net, batch_size
        self._weights = weights or _TRUNKS[net][0]
        self._identity: dict[str, Any] = {}

    def load(self, device: str) -> None:
        """Load the trunk from the weights' directory, the linear layers from the package."""
        super().load(device)
        here = weights.locate(self._weights)
        self._identity = weights.identity(here)
        model = _network(self.net, _trunk(here, _TRUNKS[self.net][1])).to(device).eval()
        # The channels of a pixel lie together in memory: convolutions take them as they are.
        self._model: lpips.LPIPS = model.to(memory_format=torch.channels_last)
        # VGG's layers are so wide that moving tiles costs what the fewer products save.
        lean = self.net == "alex" and torch.device(device).type == "cpu"
        self._trunk: torch.nn.Module = with_fewer_products(model.net) if lean else model.net
        self._layer_weights = [layer.model[-1].weight.detach().flatten() for layer in model.lins]
        shift, scale = (x.flatten() for x in (model.scaling_layer.shift, model.scaling_layer.scale))
        low, high = (0.0, 1.0) if self.profile == "compat" else (-1.0, 1.0)
        self._slope, self._offset = (high - low) / 255 / scale, (low - shift) / scale

    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`. A reference's features are made once and stay with its picture."""
        references = [batch.reference(i, self.policy) for i in range(len(batch))]
        self._prepare(references)
        scores = []
        for part in _parts(range(len(batch)), self.batch_size):
            mine = self._features(self._squares([self._candidate(batch, i) for i in part]))
            theirs = [self._recall(references[i]) for i in part]
            for index, value in zip(part, self._distances(mine, theirs), strict=True):
                scores.append(Score(batch.pairs[index].sample.id, values={self.name: value}))
        return scores

    def _candidate(self, batch: ScoringBatch, index: int) -> Picture:
        if self.profile == "compat":
            return batch.candidate(index, self.policy)
        return batch.as_sent(index, self.policy)

    @property
    def _key(self) -> tuple[str, int]:
        return "lpips", id(self)

    def _recall(self, reference: Picture) -> Features:
        kept: Features | None = reference.recall(self._key)
        return kept or [layer[0] for layer in self._features(self._squares([reference]))]

    def _prepare(self, references: Sequence[Picture]) -> None:
        fresh = list({id(r): r for r in references if r.recall(self._key) is None}.values())
        for part in _parts(fresh, self.batch_size):
            features = self._features(self._squares(part))
            for row, reference in enumerate(part):
                reference.keep(self._key, [layer[row] for layer in features])

    def _squares(self, pictures: Sequence[Picture]) -> torch.Tensor:
        """Pictures at 256 x 256, float32 [batch, 3, 256, 256], ready for the first convolution.

        The range of the profile and the network's own shift and scale are one step.
        """
        small = [picture.resize((SIDE, SIDE), Resampling.BILINEAR).rgb for picture in pictures]
        pixels = torch.stack(small).to(self.device).float()
        return pixels.mul_(self._slope).add_(self._offset).permute(0, 3, 1, 2)

    @torch.inference_mode()
    def _features(self, squares: torch.Tensor) -> Features:
        """Five feature maps [batch, channels, height, width], of unit length at each place."""
        outs: Features = list(self._trunk(squares))
        # The maps are ours alone, so they are scaled in place.
        return [
            out.div_(torch.linalg.vector_norm(out, dim=1, keepdim=True).add_(_TINY)) for out in outs
        ]

    @torch.inference_mode()
    def _distances(self, ours: Features, theirs: Sequence[Features]) -> list[float]:
        """Weighted mean squared difference of features, summed over layers, a row each.

        `ours` is used up: the differences are made in its place.
        """
        totals = []
        for row, reference in enumerate(theirs):
            layers = [
                mine[row].sub_(other).square_().sum((1, 2)).dot(weight) / mine[row][0].numel()
                for mine, other, weight in zip(ours, reference, self._layer_weights, strict=True)
            ]
            totals.append(torch.stack(layers).sum())
        values: list[float] = torch.stack(totals).tolist()
        return values

    @torch.inference_mode()
    def where(self, batch: ScoringBatch, index: int) -> NDArray[np.float32]:
        """Where a candidate differs: [256, 256], of which the mean is nearly the score.

        The weighted squared differences of each layer, brought to the pictures' size and summed, as
        the authors' own spatial maps.

        Raises:
            DecodeError: one of the pictures cannot be decoded.
        """
        reference = batch.reference(index, self.policy)
        self._prepare([reference])
        mine = self._features(self._squares([self._candidate(batch, index)]))
        total = torch.zeros(1, 1, SIDE, SIDE, device=self.device)
        for layer, other, weight in zip(mine, self._recall(reference), self._layer_weights,
                                        strict=True):  # fmt: skip
            apart = layer[0].sub_(other).square_().mul_(weight[:, None, None]).sum(0)
            total += functional.interpolate(apart[None, None], (SIDE, SIDE), mode="bilinear")
        found: NDArray[np.float32] = total[0, 0].cpu().numpy()
        return found

    def golden(self) -> Sequence[Golden]:
        """Equal pictures have distance 0; the linear layers are checked against the package."""
        self._agree_with_package()
        sample, _ = image_pair()
        same = Prediction(sample.id, images=sample.reference_images)
        return (Golden(sample, same, {self.name: 0.0}, ("lpips", "torch", "torchvision")),)

    def _agree_with_package(self) -> None:
        """Compare our distance with that of the package's own forward pass.

        Raises:
            AdapterError: they differ, so one of the libraries has moved.
        """
        pictures = (decode(pattern(64, 64, seed), self.policy) for seed in (0, 3))
        first, second = torch.tensor_split(self._squares([*pictures]), 2)
        with torch.inference_mode():
            # Its forward pass scales by itself, so ours is undone first.
            scaling = self._model.scaling_layer
            raw = (x * scaling.scale + scaling.shift for x in (first, second))
            theirs = float(self._model(*raw).item())
        other = [layer[0] for layer in self._features(second)]
        ours = self._distances(self._features(first), [other])[0]
        if abs(ours - theirs) > 1e-6 + 1e-4 * abs(theirs):
            versions = versions_of("lpips", "torch", "torchvision")
            raise AdapterError(f"LPIPS is {ours!r} here and {theirs!r} in lpips: {versions} moved")

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        first = "candidate to the reference's size with Lanczos, then "
        return {
            "profile": self.profile,
            "follows": FOLLOWS[self.profile],
            "net": self.net,
            "linear_layers": "lpips v0.1",
            "versions": versions_of("lpips", "torch", "torchvision", "pillow"),
            "resize": (first if self.profile == "compat" else "")
            + "both to 256 x 256, bilinear with antialiasing",
            "range": "[0, 1]" if self.profile == "compat" else "[-1, 1]",
            "colour": COLOUR[self.policy],
            **self._identity,
        }


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[i : i + size] for i in range(0, len(items), size))


def _trunk(here: Path, name: str) -> Mapping[str, torch.Tensor]:
    """The convolutions of a torchvision checkpoint, loaded without unpickling anything else."""
    found = sorted(here.glob("*.pth"))
    path = here / name if (here / name).exists() else (found[0] if found else here / name)
    try:
        state: Mapping[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as err:
        raise weights.MissingWeightsError(f"no checkpoint {name} in {here}") from err
    except Exception as err:  # a damaged checkpoint raises what its reader likes
        raise AdapterError(f"{path} is not a PyTorch checkpoint: {err}") from err
    return {k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")}


def _network(net: str, trunk: Mapping[str, torch.Tensor]) -> "lpips.LPIPS":
    """The package's LPIPS with our trunk in it; nothing is downloaded."""
    import lpips

    with warnings.catch_warnings():
        # lpips builds its trunk with an argument that torchvision has renamed.
        warnings.filterwarnings("ignore", message=".*'pretrained'.*|.*Arguments other than.*")
        model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    # The slices hold the layers of `features` under their own numbers.
    ours = {
        f"{slice_name}.{number}.{kind}": trunk[f"{number}.{kind}"]
        for slice_name, number, kind in (
            key.split(".") for key in model.net.state_dict() if key.startswith("slice")
        )
        if f"{number}.{kind}" in trunk
    }
    try:
        model.net.load_state_dict(ours, strict=True)
    except RuntimeError as err:
        raise AdapterError(f"the checkpoint is not a {net} trunk: {err}") from err
    return model.requires_grad_(False)
