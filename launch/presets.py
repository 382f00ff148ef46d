"""Presets of benchmarks that are read from tables."""

import hashlib

import yaml

from medgen.adapters.tables.mapping import read_mapping
from medgen.adapters.tables.source import RecordsSource
from medgen.conf.schema import BenchmarkConf
from medgen.engine.errors import ConfigError

READERS = ("records",)


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
