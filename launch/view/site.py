"""The pages of a run as named files: what the server answers with, and what a bundle holds.

A page's name is one of a fixed list, or made of numbers; nothing that stands in a store is ever
part of a name, and so of a path.
"""

import base64
import hashlib
import json
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from functools import cache, cached_property
from importlib import import_module
from importlib.resources import files
from typing import Any

import jinja2
import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine.codec import encode
from medgen.engine.errors import ImageError, MedgenError
from medgen.engine.results.comparison import Side, compare
from medgen.engine.store.parquet import parquet_bytes
from medgen.launch.hints import retry_words
from medgen.launch.report.tables import FEW
from medgen.launch.report.verdicts import comparison_markdown
from medgen.launch.view import (
    charts,
    curves,
    failures,
    flow,
    metricspage,
    numbers,
    overview,
    pairing,
    pictures,
    provenance,
    runs,
    sayings,
    scripts,
    trends,
)
from medgen.launch.view.beside import BesideRun
from medgen.launch.view.board import Board, boards, colors, format_short
from medgen.launch.view.certain import Certainty, certainty_of, headline
from medgen.launch.view.data import StoredRun
from medgen.launch.view.maps import Maps
from medgen.launch.view.samples import sample_digest

PAGES = (
    ("index", "Overview"),
    ("metrics", "Metrics"),
    ("gallery", "Gallery"),
    ("compare", "Compare"),
    ("failures", "Failures"),
    ("provenance", "Provenance"),
    ("runs", "Runs"),
)
BESIDE = ("compare", "gallery", "sample")  # the pages that two runs have together
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'"
)
STATIC = (
    "style.css", "app.js", "model.js", "gallery.js", "sample.js", "metrics.js", "tables.js",
    "compare.js", "failures.js",
)  # fmt: skip
SAMPLE_DATA = "data/sample-"  # and its position: what a page of a sample reads
TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "webp": "image/webp",
    "png": "image/png",
}


_PAGES_KEPT = 64
_PAGE = re.compile(r"([a-z]+)((?:-\d{1,6}){0,2})\.html")
_DATA = re.compile(r"data/([a-z]+)((?:-\d{1,9}){0,2})\.js")
_PICTURE = re.compile(r"p/([0-9a-f]{12})-(s\d{1,6}|input-\d{1,3}|reference-\d{1,3})-([a-z]+)\.webp")


class Site:
    """One run's pages. `file` gives the content of any name that `names` lists."""

    def __init__(self, data: StoredRun, meta_policy: bool = False) -> None:
        """Reads nothing yet. `meta_policy` writes the policy into pages: a bundle has no headers.

        Pages carry `nonce`; a server puts a new one in its place each time.
        """
        self.data = data
        self.beside = data if isinstance(data, BesideRun) else None
        self._made: OrderedDict[str, bytes] = OrderedDict()  # pages, as they were made last
        self.meta_policy = meta_policy

    @cached_property
    def nonce(self) -> str:
        """What lets a page's scripts run, and no others.

        That of files is made of the results: the same ones are the same bytes, and who wrote a
        sample did not know them.
        """
        if not self.meta_policy:
            return secrets.token_urlsafe(18)
        known = encode(self.data.plan) + parquet_bytes(self.data.summary_table)
        return base64.urlsafe_b64encode(hashlib.sha256(known).digest()[:18]).decode()

    def is_stale(self) -> bool:
        """Whether the run has gone on since this was read; a run that is over never has."""
        status = self.data.status
        if status is not None and status.status == "success":
            return False
        return self.data.folder.status() != status

    @cached_property
    def certainty(self) -> Certainty:
        """Who leads, and how surely."""
        return certainty_of(self.data)

    @cached_property
    def boards(self) -> list[Board]:
        """The leaderboards."""
        return boards(self.data, self.certainty)

    @cached_property
    def maps(self) -> Maps:
        """The difference maps."""
        return Maps(self.data)

    @cached_property
    def colors(self) -> dict[str, int]:
        """Colour and marker of each system."""
        return colors(self.data, self.certainty)

    @cached_property
    def shorts(self) -> dict[str, str]:
        """What each system is called where there is little room; controls keep their names."""
        brief = self.beside.brief if self.beside else {}
        own = [s.name for s in self.data.systems if not s.control and s.name not in brief]
        found = charts.short_names(own) | brief
        return {s.name: found.get(s.name, s.name) for s in self.data.systems}

    def page(self, which: str, template: str, **shown: Any) -> str:
        """A page from its template, with what all pages have."""
        data = self.data
        title = dict(PAGES).get(which, "Sample")
        return (
            environment()
            .get_template(f"{template}.html.j2")
            .render(
                page=which,
                title=title,
                pages=PAGES,
                nonce=self.nonce,
                policy=POLICY.format(nonce=self.nonce) if self.meta_policy else "",
                run_name=data.run_id,
                home=f"../{sample_digest(data.run_id)}/" if self.beside else "",
                other_run=self.beside.other.run_id if self.beside else "",
                benchmark=data.plan.benchmark,
                protocol=data.plan.protocol,
                finished=data.status.updated[:16].replace("T", " ")
                if data.status
                else "not finished",
                made_up=any("made-up" in note for note in data.manifest.notes),
                colors=self.colors,
                shorts=self.shorts,
                **shown,
            )
        )

    # ---- files ------------------------------------------------------------------------------

    def file(self, name: str) -> bytes | None:
        """The content of a name; None when there is no such file."""
        if name in STATIC:
            return static(name)
        if match := _PAGE.fullmatch(name):
            return self._kept_page(name, match[1], [int(n) for n in match[2].split("-")[1:]])
        if match := _DATA.fullmatch(name):
            value = self._data(match[1], [int(n) for n in match[2].split("-")[1:]])
            return None if value is None else data_script(name[5:-3], value).encode()
        match = _PICTURE.fullmatch(name)
        return self._picture(match[1], match[2], match[3]) if match else None

    def _kept_page(self, name: str, which: str, places: list[int]) -> bytes | None:
        """A page, made once: a comparison of many samples takes seconds."""
        if name not in self._made:
            text = self._page(which, places)
            if text is None:
                return None
            if which == "runs":  # others come while this one is looked at
                return text.encode()
            self._made[name] = text.encode()
            while len(self._made) > _PAGES_KEPT:
                self._made.popitem(last=False)
        return self._made[name]

    def names(self) -> Iterator[str]:
        """Every file of a bundle, pages first."""
        yield from (f"{name}.html" for name, _ in PAGES)
        yield "sample.html"
        yield from STATIC
        systems = range(len(self.data.systems))
        yield from (f"metrics-{v.place}.html" for v in self.data.values if v.overall)
        yield from (f"compare-{i}-{j}.html" for i in systems for j in systems if i != j)
        yield "data/gallery.js"
        yield from (f"data/markdown-{i}-{j}.js" for i in systems for j in systems if i != j)
        yield "data/words.js"
        yield "data/origins.js"
        yield from (f"data/said-{i}.js" for i in systems)
        yield from (f"data/value-{v.place}.js" for v in self.data.values if v.overall)
        yield from (f"data/texts-{n}.js" for n in scripts.blocks(self.data))
        for position, digest in enumerate(self.data.samples.digests):
            yield f"{SAMPLE_DATA}{position}.js"
            yield from self._picture_names(position, digest)

    def _picture_names(self, position: int, digest: str) -> Iterator[str]:
        inputs, references = self.data.picture_slots[position]
        slots = [f"input-{i}" for i in range(inputs)] + [
            f"reference-{i}" for i in range(references)
        ]
        for slot in [*slots, *(f"s{s.place}" for s in self.data.systems)]:
            if self.data.picture(position, slot):
                yield from (f"p/{digest}-{slot}-{kind}.webp" for kind in ("thumb", "whole"))
                if references and not slot.startswith("reference"):
                    yield from (f"p/{digest}-{slot}-{kind}.webp" for kind in self.maps.kinds)

    def _page(self, name: str, places: list[int]) -> str | None:
        if self.beside and name not in BESIDE:
            return None
        if name in ("gallery", "sample") and not places:
            return self.page(name, name)
        plain = {
            "index": self.overview, "failures": self.failures, "provenance": self.provenance,
            "runs": self.runs,
        }  # fmt: skip
        if name in plain and not places:
            return plain[name]()
        if name == "metrics" and len(places) < 2:
            return self.metrics(places)
        return self.compare(places) if name == "compare" and len(places) != 1 else None

    def _data(self, name: str, places: list[int]) -> object | None:
        """What a data script holds; None where there is no such one."""
        data = self.data
        whole: dict[str, Callable[[], object]] = {
            "gallery": lambda: scripts.gallery_columns(data, self.colors),
            "words": lambda: scripts.search_words(data),
            "origins": lambda: scripts.origins(data),
        }
        numbered: dict[str, tuple[Callable[[int], object], Collection[int]]] = {
            "value": (lambda n: scripts.value_column(data, n), range(len(data.values))),
            "said": (lambda n: scripts.said_words(data, n), range(len(data.systems))),
            "texts": (lambda n: scripts.text_block(data, n), scripts.blocks(data)),
            "sample": (
                lambda n: scripts.sample_block(data, self.maps, n),
                range(len(data.samples)),
            ),
        }
        if name == "markdown":
            return self._markdown(places)
        if name in whole and not places:
            return whole[name]()
        if name in numbered and len(places) == 1 and places[0] in numbered[name][1]:
            return numbered[name][0](places[0])
        return None

    def _markdown(self, places: list[int]) -> str | None:
        """The table by format of `medgen compare --markdown`; None where no shard is left."""
        if len(places) != 2 or places[0] == places[1] or max(places) >= len(self._sides):
            return None
        try:
            left, right = (self._sides[place] for place in places)
            found = compare(left, right, across=True, kinds=("all",))
        except MedgenError:
            return None
        return comparison_markdown(found)

    @cached_property
    def _sides(self) -> list[Side]:
        return [self.data.side(s.place) for s in self.data.systems]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {digest: at for at, digest in enumerate(self.data.samples.digests)}

    def _picture(self, digest: str, slot: str, kind: str) -> bytes | None:
        position = self._positions.get(digest)
        if position is None or (slot[0] == "s" and int(slot[1:]) >= len(self.data.systems)):
            return None
        data = self.data.picture(position, slot)
        if data is None:
            return None
        try:
            if kind == "thumb":
                return pictures.thumbnail(data)
            if kind == "whole":
                return pictures.whole(data)
        except ImageError:
            return None
        wanted = next((m for m in pictures.MAPS if m == kind), None)
        drawn = self.maps.drawn(position, slot, wanted) if wanted else None
        return None if drawn is None else drawn[0]

    # ---- pages ------------------------------------------------------------------------------

    def overview(self) -> str:
        """The first page."""
        data, made = self.data, self.boards
        failed = overview.failed_of(data, self.certainty)
        first = made[0] if made else None
        return self.page(
            "index",
            "index",
            name=overview.run_title(data),
            state=overview.state_of(data),
            asked=overview.question(data),
            so_far=overview.so_far(data),
            facts=overview.facts(data, failed, self.certainty),
            sayings=sayings.sayings(data, self.certainty, made),
            cares=sayings.cares(data, self.certainty, made),
            boards=made,
            cost=overview.cost_chart(self.certainty, first, self.colors) if first else None,
            modality=overview.modality_chart(data, first, self.colors) if first else None,
            curves=curves.curves(data, made),
            failed=failed,
        )

    def failures(self) -> str:
        """What went wrong."""
        data = self.data
        found = failures.failures(data)
        statuses, lines = failures.status_lines(data, found)
        owed = sum(line.owed for line in lines)
        gatherings = {k: failures.gatherings(data, found, lines, k) for k in ("task", "modality")}
        return self.page(
            "failures",
            "failures",
            title_words=failures.title_words(len(found), owed),
            share=numbers.percent(len(found), owed) if found else "",
            summary=failures.summary_words(lines, len(found)),
            total=len(found),
            owed=owed,
            statuses=statuses,
            lines=lines,
            gatherings=gatherings | {"time": failures.by_time(data, lines)},
            causes=failures.causes(data, found),
            lacking={s: failures.score_failures(data, s) for s in ("score", "judge")},
            troubles=failures.troubles(data),
            again=retry_words(data.run_id, data.objects.url) if found else "",
        )

    def provenance(self) -> str:
        """Passports, plan, timeline, cost."""
        columns, lines = provenance.passports(self.data)
        graph, nodes = provenance.plan_graph(self.data)
        return self.page(
            "provenance",
            "provenance",
            columns=columns,
            passports=lines,
            graph=graph,
            nodes=nodes,
            lanes=provenance.timeline(self.data),
            flow=flow.flow(self.data),
            costs=provenance.costs(self.data),
            stages=provenance.stage_costs(self.data),
        )

    def runs(self) -> str:
        """The store's runs and nights."""
        objects = self.data.objects
        nights, found = runs.nights(objects), runs.run_lines(objects)
        lines = {n: [(x.date, x.run_id) for x in own if x.run_id] for n, own in nights.items()}
        return self.page(
            "runs",
            "runs",
            runs=found,
            nights=nights,
            trends={name: trends.trends(objects, own) for name, own in lines.items()},
            store=objects.url,
            bundle=self.meta_policy,
            here=next((line for line in found if line.run_id == self.data.run_id), None),
            months=runs.by_month(found),
        )

    def metrics(self, places: list[int]) -> str | None:
        """One value by group; the first one without a number."""
        data = self.data
        choices = [v for v in data.values if v.overall]
        first = headline(data, data.formats[0]) if data.formats else None
        place = places[0] if places else first.place if first else None
        if place is not None and (place >= len(data.values) or not data.values[place].overall):
            return None
        made = (
            None
            if place is None
            else metricspage.metrics_page(data, self.certainty, place, self.colors)
        )
        agreements = self.agreements if made else []
        sets = metricspage.set_lines(data)
        return self.page(
            "metrics", "metrics", p=made, choices=choices, agreements=agreements, sets=sets
        )

    @cached_property
    def agreements(self) -> list[tuple[str, tuple[metricspage.Agreement, ...]]]:
        """How far values call the same samples better: the same on every value's page."""
        return metricspage.agreements(self.data)

    def compare(self, places: list[int]) -> str | None:
        """Two systems; without numbers the first two of the largest format."""
        data, size = self.data, len(self.data.systems)
        pair = places or self.first_pair
        if pair and (max(pair) >= size or pair[0] == pair[1]):
            return None
        made = pairing.pair_page(data, self.certainty, *pair) if len(pair) == 2 else None
        file = f"markdown-{pair[0]}-{pair[1]}" if made else ""
        return self.page("compare", "compare", p=made, systems=data.systems, markdown=file)

    @cached_property
    def first_pair(self) -> list[int]:
        """The places of the two that are compared first: runner-up, or floor, and leader."""
        if self.beside:
            return [*(self.beside.facing or ())]
        first = next((f.standing for f in self.certainty.formats if f.standing), None)
        names = {s.name: s.place for s in self.data.systems}
        if first and len(first.order) > 1:
            return [names[first.order[1]], names[first.order[0]]]
        found = self.certainty.formats[0] if self.certainty.formats else None
        if first and found and found.floor in names:  # one system: against doing nothing
            return [names[found.floor], names[first.order[0]]]
        return [s.place for s in self.data.systems[:2]] if len(self.data.systems) > 1 else []


@cache
def environment() -> jinja2.Environment:
    """Templates that escape everything, and fail on a name that they were not given."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("medgen.launch.view", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "middle": charts.cut_middle,
        "count": numbers.count,
        "percent": numbers.percent,
        "number": numbers.number,
        "span": numbers.span,
        "p_value": numbers.p_value,
        "duration": numbers.duration,
        "dollars": numbers.dollars,
        "digest": sample_digest,
        "short": format_short,
        "few": FEW,
        "glyphs": sayings.GLYPHS,
        "tones": sayings.TONES,
    }
    return made


def warm_up() -> None:
    """What takes longer than most pages, before somebody waits for one.

    Templates are compiled, and pyarrow imports pandas where it is there: it does so once, when a
    table becomes rows.
    """
    for name in environment().list_templates():
        environment().get_template(name)
    table = pa.table({"word": ["a"]})
    table.filter(pc.equal(table["word"], "a")).to_pylist()


def warm_up_more() -> None:
    """What the other pages need, while the first one is looked at: these take seconds to import."""
    for name in ("scipy.stats", "scipy.ndimage", "statsmodels.stats.multitest"):
        import_module(name)


def static(name: str) -> bytes:
    """A file that comes with the package."""
    return (files("medgen.launch.view") / "static" / name).read_bytes()


def data_script(name: str, value: object) -> str:
    """One call with JSON in which nothing can end the script or a line."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign, spelling in (("<", "\\u003c"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(sign, spelling)
    return f"medgen.data({json.dumps(name)},{text});\n"
