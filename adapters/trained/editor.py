"""The small editor: colours and a U-Net, 172,000 parameters, do what an instruction names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow

from medgen.adapters.provenance import versions
from medgen.adapters.trained.networks import EditorNetwork
from medgen.adapters.trained.operations import OPERATIONS, operation_of
from medgen.adapters.trained.weights import card, load
from medgen.engine.data import Image, Prediction, Request
from medgen.engine.errors import ImageError
from medgen.engine.images import as_rgb, open_image, png

_LONGEST = 1024  # pixels: larger pictures are edited at this size


class Editor:
    """Finds the operation by its words and does it; what it was not trained for, it leaves.

    Looks at the first input picture and the instruction, or at the image prompt of the model that
    answered before it.
    """

    def __init__(self) -> None:
        """Load the weights, on the CPU."""
        self._network = EditorNetwork().eval()
        self._network.load_state_dict(load("editor"))

    def take(self, folder: Path) -> None:
        """Other weights, to measure them before they are ours."""
        self._network.load_state_dict(load("editor", folder))

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """See `medgen.engine.ports.Generator`."""
        return [self._edit(request) for request in requests]

    def passport(self) -> Mapping[str, Any]:
        """See `medgen.engine.ports.Generator`."""
        about = {"system": "small-editor", "kind": "trained", "operations": "found by their words"}
        return {**about, **card("editor"), **versions("torch")}

    def _edit(self, request: Request) -> Prediction:
        sample, text = request.sample, request.answer.text if request.answer else None
        if not sample.input_images:
            return Prediction(sample.id, "model_error", "no input image to work on", text=text)
        name = operation_of((request.answer and request.answer.image_prompt) or sample.instruction)
        details = {"operation": name or "none that it knows: the picture is left as it is"}
        try:
            picture = as_rgb(open_image(sample.input_images[0].data))
        except ImageError as err:
            return Prediction(sample.id, "model_error", f"no readable input image: {err}")
        if name:
            picture.thumbnail((_LONGEST, _LONGEST))
            picture = self._run(picture, OPERATIONS.index(name))
        image = Image(png(picture), "small-editor.png")
        return Prediction(sample.id, text=text, images=(image,), details=details)

    def _run(self, picture: Pillow.Image, operation: int) -> Pillow.Image:
        pixels = np.asarray(picture, dtype=np.float32) / 255.0
        height, width = pixels.shape[:2]
        missing = ((0, -height % 4), (0, -width % 4), (0, 0))
        whole = torch.from_numpy(np.pad(pixels, missing, mode="edge")).permute(2, 0, 1)[None]
        with torch.inference_mode():
            edited = self._network(whole, torch.tensor([operation]))[0]
        found = edited.permute(1, 2, 0).numpy()[:height, :width]
        return Pillow.fromarray(np.round(np.clip(found, 0, 1) * 255).astype(np.uint8))
