"""Image models behind `/images/generations` and `/images/edits`, as OpenAI defined them.

Served by commercial APIs and by vLLM-Omni. One request makes one picture.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Call, Endpoint, Failure, Reply
from medgen.adapters.http.limits import Prices
from medgen.adapters.http.links import resolve
from medgen.adapters.http.verdict import is_picture
from medgen.adapters.images.contact_sheet import contact_sheet
from medgen.adapters.images.content import servable
from medgen.adapters.images.firewall import Firewall, FirewallPolicy
from medgen.adapters.images.image_jobs import ImageJob, image_job, in_order
from medgen.adapters.models.body import check_body
from medgen.adapters.models.image_replies import check_images, count_images, read_images
from medgen.adapters.models.replies import check_model
from medgen.adapters.models.settings import ImageFormat, ImageMode
from medgen.adapters.models.usage import paid_alone, price, spent
from medgen.adapters.provenance import versions
from medgen.engine.data import Image, Prediction, Request
from medgen.engine.errors import ConfigError, ImageError
from medgen.engine.guard import Unforeseen, guard_row, internal_error
from medgen.engine.settings import read

_PATHS = {
    "generate": "images/generations",
    "edit": "images/edits",
    "edit_inline": "images/generations",
}
_CURED = ("size", "seed", "response_format")  # sent unless they are null
_OURS = frozenset({"model", "prompt", "image", "image[]", "n", "size", "seed", "response_format"})


@dataclass(frozen=True, slots=True)
class Made:
    """A reply, the pictures in it, and the prompt that was really drawn where the server says."""

    reply: Reply
    pictures: tuple[bytes, ...]
    revised_prompt: str = ""


class OpenAIImages:
    """An image model over HTTP. Safe to use from several threads."""

    def __init__(
        self,
        model: str,
        mode: ImageMode,
        *,
        endpoint: Mapping[str, Any] | Endpoint,
        size: str | None = None,
        extra: Mapping[str, Any] | None = None,
        seed: int | None = 0,
        response_format: ImageFormat | None = None,
        image_field: str = "image",
        images: int = 1,
        firewall: Mapping[str, str] | FirewallPolicy | None = None,
        prices: Mapping[str, Any] | Prices | None = None,
        served_as: Sequence[str] = (),
    ) -> None:
        """Ask nothing yet.

        Args:
            model: the name that the server knows.
            mode: `generate` sends the prompt; `edit` uploads the sample's pictures with it;
                `edit_inline` puts them into the JSON of a generation (`image`), as Seedream does.
            endpoint: fields of `medgen.adapters.http.endpoint.Endpoint`.
            size: "1024x1024", "auto" …; None lets the server choose.
            extra: sent as it is (`quality`, `num_inference_steps`, `guidance_scale` …).
            seed: of the run, mixed with each sample's id; None for servers that take no seed.
            response_format: for servers that must be told.
            image_field: name of the upload; `image[]` for those that take several.
            images: how many pictures an edit takes; a sample with more is one contact sheet.
            firewall: fields of `medgen.adapters.images.firewall.FirewallPolicy`.
            prices: fields of `medgen.adapters.http.limits.Prices`.
            served_as: names and patterns of names that replies may carry beside the model's own.

        Raises:
            ConfigError: an impossible argument.
            AdapterError: the key is not set, or aiohttp is not installed.
        """
        if mode not in _PATHS or images < 1:
            raise ConfigError(f"mode is one of {sorted(_PATHS)}, and images at least 1")
        check_body(extra or {}, _OURS, "extra")
        self.model, self.mode, self.seed = model, mode, seed
        self._served_as = tuple(served_as)
        self._size, self._format = size, response_format
        self._extra = dict(extra or {})
        self._field, self._images = image_field, images
        self._firewall = Firewall(firewall)
        settings = read(Endpoint, endpoint, "endpoint")
        self._prices = read(Prices, prices, "prices")
        self._most = self._prices.most_for_image(settings.spending_cap_usd)
        self._client = HttpClient(settings, model=model)

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """One picture a request; failures are rows.

        Raises:
            AdapterError: the endpoint cannot be used at all.
            SpendingError: the cap let not a single request through.
        """
        make = partial(image_job, seed=self.seed or 0, needs_input=self.mode != "generate")
        return in_order(requests, make, self._draw_all)

    def passport(self) -> Mapping[str, Any]:
        """See `Generator.passport`."""
        return {
            "adapter": "openai_images",
            "model": self.model,
            "mode": self.mode,
            "base_url": self._client.endpoint.base_url,
            "size": self._size,
            "seed": self.seed,
            "extra": self._extra,
            "firewall": self._firewall.passport(),
            "versions": versions("aiohttp", "pillow"),
        }

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def _draw_all(self, jobs: Sequence[ImageJob]) -> Sequence[Prediction]:
        calls = [self._call(job) for job in jobs]
        made = iter(
            self._client.map(self._draw, [c for c in calls if isinstance(c, Call)], failing=True)
        )
        return [
            self._guard(job, next(made) if isinstance(call, Call) else call)
            for job, call in zip(jobs, calls, strict=True)
        ]

    def _guard(self, job: ImageJob, made: Made | Failure) -> Prediction:
        usage = spent(made, "") if isinstance(made, Failure) else paid_alone(made.reply)

        def blank(found: Unforeseen) -> Prediction:
            return internal_error(job.sample.id, found, usage)

        return guard_row(lambda: self._row(job, made), blank, job.sample.id)

    def _call(self, job: ImageJob) -> Call | Failure:
        fields = {"model": self.model, "prompt": job.prompt, "n": 1, "size": self._size}
        fields |= {"response_format": self._format}
        fields |= {"seed": None if self.seed is None else job.seed} | self._extra
        fields = {k: v for k, v in fields.items() if v is not None}
        if self.mode == "generate":
            return self._paid(fields, json=fields)
        try:
            inputs = [servable(image.data) for image in self._inputs(job)]
        except ImageError as err:
            return Failure("client", f"input: {err}", attempts=0)
        if self.mode == "edit_inline":
            links = [f"data:{m};base64,{base64.b64encode(d).decode()}" for d, m in inputs]
            fields["image"] = links if len(links) > 1 else links[0]
            return self._paid(fields, json=fields)
        files = [self._upload(i, data, media) for i, (data, media) in enumerate(inputs)]
        form = {k: v if isinstance(v, str) else json.dumps(v) for k, v in fields.items()}
        return self._paid(fields, form=form, files=files)

    def _paid(self, fields: Mapping[str, Any], **body: Any) -> Call:
        cures = {name: f"set `{name}: null`" for name in _CURED if name in fields}
        cures |= {name: f"take `{name}` out of `extra`" for name in self._extra}
        return Call(
            **body, at_most_usd=self._most, price=self._price, check=check_images, cures=cures
        )

    def _inputs(self, job: ImageJob) -> Sequence[Image]:
        too_many = len(job.inputs) > self._images
        return [contact_sheet(job.inputs)] if too_many else job.inputs

    def _upload(self, index: int, data: bytes, media: str) -> tuple[str, tuple[str, bytes, str]]:
        return self._field, (f"input-{index}.{media.rpartition('/')[2]}", data, media)

    def _price(self, reply: Reply) -> tuple[int | None, float]:
        return price(reply, self._prices, self._most, count_images(reply))

    async def _draw(self, call: Call) -> Made | Failure:
        reply = await self._client.post(_PATHS[self.mode], call)
        if isinstance(reply, Failure):
            return reply
        if is_picture(reply):
            return Made(reply, (reply.body,))
        check_model(reply, self.model, self._served_as)
        found = read_images(reply)
        if isinstance(found, Failure):
            return _after(reply, found)
        pictures = await resolve(self._client, found.links)
        if isinstance(pictures, Failure):
            return _after(reply, pictures)
        return Made(reply, tuple(pictures), found.revised_prompt)

    def _row(self, job: ImageJob, made: Made | Failure) -> Prediction:
        details: dict[str, Any] = {
            "seed": None if self.seed is None else job.seed,
            "attempts": count_attempts(made),
        }
        if isinstance(made, Failure):
            status = "invalid_image" if made.kind == "malformed" else made.status
            usage = spent(made, "")
            return Prediction(
                job.sample.id,
                status,
                made.reason,
                image_prompt=job.prompt,
                usage=usage,
                details=details,
            )
        if made.revised_prompt:
            details["revised_prompt"] = made.revised_prompt
        row = Prediction(
            job.sample.id,
            image_prompt=job.prompt,
            images=tuple(
                Image(data, f"{job.sample.id}-{i}") for i, data in enumerate(made.pictures)
            ),
            usage=spent(made.reply, "stop"),
            details=details,
        )
        return self._firewall.admit(row, job.sample, _size(self._size))


def _after(reply: Reply, failure: Failure) -> Failure:
    """A failure that was found in a reply, which took its time and was paid for."""
    return replace(failure, seconds=reply.seconds, attempts=reply.attempts, cost_usd=reply.cost_usd)


def count_attempts(made: Made | Failure) -> int:
    """How often the server was asked."""
    return made.attempts if isinstance(made, Failure) else made.reply.attempts


def _size(size: str | None) -> tuple[int, int] | None:
    """Pixels of "WxH"; None for names such as "auto"."""
    width, cross, height = (size or "").partition("x")
    return (int(width), int(height)) if cross and width.isdigit() and height.isdigit() else None
