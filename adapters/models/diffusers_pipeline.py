"""Image pipelines of diffusers in this process: text to image, image to image, editing."""

import inspect
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image as Pillow

from medgen.adapters.images.contact_sheet import contact_sheet
from medgen.adapters.images.firewall import Firewall, FirewallPolicy
from medgen.adapters.images.image_jobs import ImageJob, image_job, in_order
from medgen.adapters.models.pipeline_loading import load_pipeline, loaded_weights
from medgen.adapters.models.settings import (
    PipelineExecution,
    PipelineLoad,
    PipelineMode,
    PipelineSampling,
    present_fields,
)
from medgen.adapters.provenance import versions
from medgen.engine.data import Image, Prediction, PredictionStatus, Request, Usage
from medgen.engine.errors import (
    ConfigError,
    EngineDied,
    ImageError,
    is_out_of_memory,
)
from medgen.engine.images import as_rgb, open_image, png
from medgen.engine.settings import read
from medgen.engine.trouble import log_failed_row

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

log = logging.getLogger(__name__)

# The adapter's own arguments of a pipeline call.
_OURS = frozenset({"prompt", "image", "generator", "output_type", "num_images_per_prompt"})


class DiffusersPipeline:
    """One loaded pipeline. Calls from several threads take turns."""

    def __init__(
        self,
        model: str,
        mode: PipelineMode,
        pipeline: str = "DiffusionPipeline",
        load: Mapping[str, Any] | PipelineLoad | None = None,
        sampling: Mapping[str, Any] | PipelineSampling | None = None,
        firewall: Mapping[str, str] | FirewallPolicy | None = None,
        execution: Mapping[str, Any] | PipelineExecution | None = None,
    ) -> None:
        """Load a pipeline; no code from the model's repository is run, no pickle is read.

        Args:
            model: a folder, or the name of a repository on the model hub.
            mode: whether the pipeline is given the sample's picture, and what it must have.
            pipeline: class of diffusers; the default finds it in `model_index.json`.
            load: fields of `medgen.adapters.models.settings.PipelineLoad`; a hub name needs its
                `revision`.
            sampling: fields of `medgen.adapters.models.settings.PipelineSampling`.
            firewall: fields of `medgen.adapters.images.firewall.FirewallPolicy`.
            execution: fields of `medgen.adapters.models.settings.PipelineExecution`.

        Raises:
            ConfigError: an unknown or impossible argument.
            AdapterError: diffusers is missing, or the weights cannot be loaded.
        """
        if mode not in ("text_to_image", "image_to_image", "edit"):
            raise ConfigError(f"mode is text_to_image, image_to_image or edit, not {mode!r}")
        self.model, self.mode = model, mode
        self.sampling = read(PipelineSampling, sampling, "sampling")
        self.execution = read(PipelineExecution, execution, "execution")
        self.firewall = Firewall(firewall)
        self._load = read(PipelineLoad, load, "load")
        self._check()
        self._lock = threading.Lock()
        self._pipe = load_pipeline(pipeline, model, self._load)
        self._pipe.set_progress_bar_config(disable=True)
        self._pipe = self._place(self._pipe)
        # Once: every shard carries it, and a folder is hashed for it.
        self._weights = loaded_weights(model, self._load)
        self._arguments = self._call_arguments()

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """One picture a request.

        Raises:
            EngineDied: the device failed in a way that this process does not survive.
        """
        needs = self.mode != "text_to_image"
        make = partial(image_job, seed=self.sampling.seed, needs_input=needs)
        with self._lock:
            return in_order(requests, make, self._draw_all)

    def passport(self) -> Mapping[str, Any]:
        """See `Generator.passport`."""
        return {
            "adapter": "diffusers",
            "model": self.model,
            "pipeline": type(self._pipe).__name__,
            "scheduler": type(self._pipe.scheduler).__name__,
            "mode": self.mode,
            **present_fields(self._load),
            **self._weights,
            "arguments": self._arguments,
            "seed": self.sampling.seed,
            "device": self._device(),
            "batch_size": self.execution.batch_size,
            "firewall": self.firewall.passport(),
            "versions": versions("diffusers", "torch", "transformers", "pillow", "accelerate"),
        }

    def _check(self) -> None:
        if not Path(self.model).is_dir() and not self._load.revision:
            raise ConfigError(
                f"{self.model!r} is no folder here; name the hub revision in load.revision, "
                "for the results' address must say which weights made them"
            )

    def _device(self) -> str:
        import torch

        if self.execution.device != "auto":
            return self.execution.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    def _place(self, pipe: "DiffusionPipeline") -> "DiffusionPipeline":
        device = self._device()
        if self.execution.attention_slicing:
            pipe.enable_attention_slicing()
        if self.execution.offload != "none" and device == "cpu":
            raise ConfigError("offload moves weights from an accelerator to the CPU; there is none")
        if self.execution.offload == "model":
            pipe.enable_model_cpu_offload(device=device)
        elif self.execution.offload == "sequential":
            pipe.enable_sequential_cpu_offload(device=device)
        else:
            pipe = pipe.to(device)
        return pipe

    def _call_arguments(self) -> dict[str, Any]:
        """What every call is given beside prompt, picture and seed, checked by name."""
        sampling = self.sampling
        named = {"num_inference_steps": sampling.steps, "guidance_scale": sampling.guidance}
        arguments = {k: v for k, v in named.items() if v is not None} | dict(sampling.call or {})
        known = set(inspect.signature(self._pipe.__call__).parameters)
        unknown = sorted((set(arguments) - known) | (set(arguments) & _OURS))
        if unknown:
            kind = type(self._pipe).__name__
            raise ConfigError(f"{kind} does not take {', '.join(unknown)} from a configuration")
        return arguments

    def _draw_all(self, jobs: Sequence[ImageJob]) -> Sequence[Prediction]:
        """Draw in batches of equally sized inputs; rows in the order of the jobs."""
        rows: dict[str, Prediction] = {}
        ready: list[tuple[ImageJob, list[Pillow.Image]]] = []
        for job in jobs:
            try:
                ready.append((job, self._inputs(job)))
            except ImageError as err:
                rows[job.sample.id] = Prediction(job.sample.id, "model_error", f"input: {err}")
        for batch in _batches(ready, self.execution.batch_size):
            rows |= {p.sample_id: p for p in self._draw(batch)}
        return [rows[job.sample.id] for job in jobs]

    def _inputs(self, job: ImageJob) -> list[Pillow.Image]:
        if self.mode == "text_to_image":
            return []
        wanted: Sequence[Image] = job.inputs
        if self.sampling.inputs == "first":
            wanted = wanted[:1]
        elif self.sampling.inputs == "sheet" and len(wanted) > 1:
            wanted = [contact_sheet(wanted)]
        return [self._fit(as_rgb(open_image(i.data))) for i in wanted]

    def _fit(self, image: Pillow.Image) -> Pillow.Image:
        longest, multiple = max(image.size), self.sampling.multiple_of
        scale = min(1.0, (self.sampling.max_side or longest) / longest)
        sides = [max(multiple, round(s * scale) // multiple * multiple) for s in image.size]
        size = (sides[0], sides[1])
        return image if size == image.size else image.resize(size, Pillow.Resampling.LANCZOS)

    def _draw(self, batch: Sequence[tuple[ImageJob, list[Pillow.Image]]]) -> list[Prediction]:
        """One call; what fails together is tried one by one, so that a failure is one row's."""
        import torch

        started = time.monotonic()
        try:
            pictures, unsafe = self._call(batch)
        except torch.AcceleratorError as err:
            raise EngineDied(f"{self.model}: the device failed: {err}") from err
        except Exception as err:  # noqa: BLE001 - a sample's failure becomes its row
            if len(batch) > 1:
                return [row for one in batch for row in self._draw([one])]
            job = batch[0][0]
            log_failed_row(log, err, job.sample.id)
            reason = f"{type(err).__name__}: {err}"[:500]
            status: PredictionStatus = "out_of_memory" if is_out_of_memory(err) else "model_error"
            return [Prediction(job.sample.id, status, reason, image_prompt=job.prompt)]
        seconds = (time.monotonic() - started) / len(batch)
        return [
            self._row(job, picture, stopped, seconds)
            for (job, _), picture, stopped in zip(batch, pictures, unsafe, strict=True)
        ]

    def _call(
        self, batch: Sequence[tuple[ImageJob, list[Pillow.Image]]]
    ) -> tuple[list[Pillow.Image], list[bool]]:
        """Pictures, and whether the pipeline's safety checker blackened each."""
        import torch

        given: dict[str, Any] = {
            "prompt": [job.prompt for job, _ in batch],
            # On the CPU, so that the noise does not depend on the device.
            "generator": [torch.Generator("cpu").manual_seed(job.seed) for job, _ in batch],
            "output_type": "pil",
        }
        if self.mode != "text_to_image":
            given["image"] = [i[0] if len(i) == 1 else i for _, i in batch]
        if len(batch) == 1:
            # Some pipelines take one prompt, one generator and one picture (or one list) only.
            given = {k: v[0] if isinstance(v, list) else v for k, v in given.items()}
        with torch.inference_mode():
            output = self._pipe(**given, **self._arguments)
        flags = output.get("nsfw_content_detected") or [False] * len(batch)
        return list(output.images), [bool(f) for f in flags]

    def _cuts(self, prompt: str) -> bool:
        """Whether the pipeline reads only the beginning of the prompt (CLIP: 77 tokens)."""
        tokenizer = self._pipe.components.get("tokenizer")
        if tokenizer is None:
            return False
        # A tokenizer of a language model takes far more than the pipeline hands on.
        called = inspect.signature(self._pipe.__call__).parameters.get("max_sequence_length")
        limits = (
            tokenizer.model_max_length,
            getattr(self._pipe, "tokenizer_max_length", None),
            self._arguments.get("max_sequence_length", called.default if called else None),
        )
        most = min(limit for limit in limits if isinstance(limit, int))
        return bool(len(tokenizer(prompt, verbose=False).input_ids) > most)

    def _row(
        self, job: ImageJob, picture: Pillow.Image, stopped: bool, seconds: float
    ) -> Prediction:
        draft = Prediction(
            job.sample.id,
            image_prompt=job.prompt,
            usage=Usage(seconds=seconds),
            details={
                "seed": job.seed,
                "inputs_given": len(job.inputs),
                "prompt_cut": self._cuts(job.prompt),
            },
        )
        if stopped:
            reason = "the pipeline's safety checker stopped it"
            return replace(draft, status="refused", reason=reason)
        images = (Image(png(picture), f"{job.sample.id}.png"),)
        return self.firewall.admit(replace(draft, images=images), job.sample)


def _batches(
    ready: Sequence[tuple[ImageJob, list[Pillow.Image]]], size: int
) -> Iterator[list[tuple[ImageJob, list[Pillow.Image]]]]:
    """Batches whose pictures have one size, for they become one tensor."""
    by_size: dict[tuple[tuple[int, int], ...], list[tuple[ImageJob, list[Pillow.Image]]]] = {}
    for job, images in ready:
        by_size.setdefault(tuple(i.size for i in images), []).append((job, images))
    for alike in by_size.values():
        for start in range(0, len(alike), size):
            yield alike[start : start + size]
