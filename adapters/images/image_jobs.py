"""What an image model is asked for one sample, or why it is not asked at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medgen.engine.chat.messages import seed_for
from medgen.engine.data import Image, Prediction, Request, Sample


@dataclass(frozen=True, slots=True)
class ImageJob:
    """One picture to be made. `seed` lies in 0..2^31-1 and depends on the sample and the run."""

    sample: Sample
    prompt: str
    seed: int

    @property
    def inputs(self) -> tuple[Image, ...]:
        """The sample's pictures, in order."""
        return self.sample.input_images


def image_job(request: Request, seed: int, needs_input: bool) -> ImageJob | Prediction:
    """The job for a request, or the row it ends as without a call.

    The prompt is the upstream answer's image prompt; without an answer stage it is the
    instruction itself. What went wrong upstream is carried on.
    """
    sample, answer = request.sample, request.answer
    if answer is not None and answer.status != "ok":
        return Prediction(sample.id, answer.status, f"answer: {answer.reason or answer.status}")
    prompt = sample.instruction if answer is None else (answer.image_prompt or "")
    if not prompt.strip():
        whose = "instruction" if answer is None else "answer: it holds an image prompt that"
        return Prediction(sample.id, "model_error", f"{whose} is empty")
    if needs_input and not sample.input_images:
        return Prediction(sample.id, "model_error", "input: the sample has no picture to edit")
    return ImageJob(sample, prompt, seed_for(seed, *request.draw))


def in_order(
    requests: Sequence[Request],
    make: Callable[[Request], ImageJob | Prediction],
    run: Callable[[Sequence[ImageJob]], Sequence[Prediction]],
) -> list[Prediction]:
    """Run what can be run and put every row in its place."""
    drafts = [make(request) for request in requests]
    jobs = [d for d in drafts if isinstance(d, ImageJob)]
    made = iter(run(jobs) if jobs else ())
    return [next(made) if isinstance(d, ImageJob) else d for d in drafts]
