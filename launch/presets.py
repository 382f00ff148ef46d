"""Presets of benchmarks that are read from tables."""

import hashlib
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

import yaml

from medgen.adapters.tables.mapping import read_mapping
from medgen.adapters.tables.source import RecordsSource
from medgen.conf import RunConf
from medgen.conf.loading import benchmark_conf, group_names
from medgen.conf.schema import BenchmarkConf
from medgen.engine.codec import plain
from medgen.engine.errors import ConfigError

READERS = ("records",)
# Words of `access` that mean: who has the data has promised not to pass it on.
_RESTRICTED = ("credentialed", "agreement", "restricted")


def records_source(conf: BenchmarkConf) -> RecordsSource:
    """The table that a preset reads.

    Raises:
        ConfigError: the preset breaks the language, or names a hub without a revision.
    """
    where = f"benchmark {conf.name!r}"
    if conf.reader not in READERS:
        raise ConfigError(f"{where}, reader: {conf.reader!r} is none of {', '.join(READERS)}")
    if conf.source.startswith("hf://") and "@" not in conf.source:
        raise ConfigError(
            f"{where}, source: {conf.source} names no revision, and a hub changes; write "
            f"{conf.source}@<commit>, or give the folder of your copy: `--from FOLDER`"
        )
    mapping = read_mapping(conf.mapping, where)
    return RecordsSource(conf.source, mapping, about(conf))


def about(conf: BenchmarkConf) -> dict[str, object]:
    """What the manifest keeps of a preset."""
    text = yaml.safe_dump(conf.mapping, sort_keys=True, allow_unicode=True)
    said: dict[str, object] = {
        "preset": conf.name,
        "mapping": text,
        "mapping_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "protocol": conf.protocol,
        "licence": conf.licence,
        "access": conf.access,
        "cite": conf.cite,
        "unverified": "; ".join(conf.unverified),
    }
    return {key: value for key, value in said.items() if value}


def refuse_hosted(conf: RunConf, access: str) -> None:
    """Refuse hosted models and judges for data that may not be passed on.

    Args:
        conf: whose systems and judges are looked at.
        access: what the benchmark says of who may have it.

    Raises:
        ConfigError: a model of the run is served elsewhere, and nobody has allowed it.
    """
    if conf.allow_hosted or not any(word in access.casefold() for word in _RESTRICTED):
        return
    for where, url in _urls({"system": plain(conf.system), "judge": plain(conf.judge)}, ""):
        if _is_hosted(url):
            host = urlsplit(url).hostname or url
            raise ConfigError(
                f"{where}: {host} would be sent samples of {conf.benchmark.name!r}, which may not "
                f"be passed on ({access}). If your agreement covers it, say `allow_hosted=true`"
            )


def known_benchmarks() -> Iterator[dict[str, str]]:
    """What each preset says of its benchmark: name, family, count, licence, access, confidence."""
    for name in group_names("benchmark"):
        conf = benchmark_conf(name)
        if conf is not None:
            yield {
                "name": name,
                "family": conf.family or "MedGEN-Bench",
                "count": _count(conf),
                "licence": conf.licence or "?",
                "access": conf.access or "open",
                "confidence": conf.confidence or "ours",
                "unverified": "; ".join(conf.unverified),
            }


def _count(conf: BenchmarkConf) -> str:
    expect: object = conf.mapping.get("expect")
    if isinstance(expect, dict):
        return str(expect.get("items") or expect.get("rows") or "?")
    subset = conf.subset.expected_count if conf.subset else conf.expected_count
    return str(expect or subset or "?")


def _urls(value: object, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _urls(inner, f"{where}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _urls(inner, f"{where}[{number}]")
    elif isinstance(value, str) and value.lower().startswith(("http://", "https://")):
        yield where, value


def _is_hosted(url: str) -> bool:
    """Whether a URL leads beyond this machine and this house's own network."""
    host = (urlsplit(url).hostname or "").lower()
    try:
        address = ip_address(host)
    except ValueError:
        return "." in host and not host.endswith((".local", ".internal", ".svc"))
    return not (address.is_loopback or address.is_private)
