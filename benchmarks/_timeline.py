"""A sweep as a picture: a lane a GPU, who worked on it when, and what went to loading weights."""

from collections.abc import Iterator, Sequence

from benchmarks._virtual import Worker

_LANE = 0.8  # of the height between two lanes
Place = tuple[str, int]  # machine, and the number of a GPU of it


def draw_timeline(workers: Sequence[Worker], path: str) -> None:
    """Draw all workers of a sweep into a file, PNG or SVG by its name; needs matplotlib.

    Gangs take several lanes. Loading is hatched, what is white is idle.
    """
    from matplotlib.figure import Figure

    groups = sorted({w.group for w in workers})
    end = max(w.ended for w in workers)
    lanes = sorted({place for _, places in places_of(workers) for place in places})
    figure = Figure(figsize=(11, 0.24 * len(lanes) + 1.1), layout="constrained")
    plot = figure.subplots()
    for worker, places in places_of(workers):
        hue = groups.index(worker.group) / len(groups)
        for lane in map(lanes.index, places):
            made, ended = min(worker.made, worker.ended), worker.ended
            spans = [(worker.opened / 60, (made - worker.opened) / 60)]
            plot.broken_barh(
                spans, (lane, _LANE), facecolor="#E5E7EB", edgecolor="#9AA3AF", hatch="////", lw=0
            )
            plot.broken_barh(
                [(made / 60, (ended - made) / 60)], (lane, _LANE), facecolor=_color(hue), lw=0
            )
    plot.set_yticks([i + _LANE / 2 for i in range(len(lanes))], [f"{m}:{n}" for m, n in lanes])
    plot.set_xlabel(f"minutes; {len(groups)} systems in {len(groups)} colours; hatched: loading")
    plot.set_xlim(0, end / 60)
    plot.invert_yaxis()
    plot.tick_params(labelsize=7)
    for side in ("top", "right"):
        plot.spines[side].set_visible(False)
    figure.savefig(path, dpi=110)


def _color(hue: float) -> tuple[float, float, float]:
    from colorsys import hls_to_rgb

    return hls_to_rgb(hue, 0.42 if int(hue * 100) % 2 else 0.6, 0.5)


def places_of(workers: Sequence[Worker]) -> Iterator[tuple[Worker, list[Place]]]:
    """Each worker with GPUs of its machine that nobody held when it was opened.

    Raises:
        AssertionError: a machine had fewer.
    """
    free: dict[Place, float] = {}  # until when each is held
    for worker in sorted(workers, key=lambda w: w.opened):
        own = [(worker.host.name, n) for n in range(worker.host.gpus)]
        places = [p for p in own if free.get(p, 0.0) <= worker.opened][: round(worker.gpus)]
        assert len(places) == round(worker.gpus), f"{worker.host.name} has no such room"
        free |= dict.fromkeys(places, worker.ended)
        yield worker, places
