"""What a gate tolerates, as the configuration says."""

from dataclasses import asdict

from medgen.conf.schema import GateConf
from medgen.engine.results.gate import GateRules


def rules_of(conf: GateConf) -> GateRules:
    """The rules with what the configuration changes of them."""
    unchanged = asdict(GateConf())
    given = {k: v for k, v in asdict(conf).items() if v != unchanged[k]}
    lists = {k: tuple(v) for k, v in given.items() if isinstance(v, list)}
    return GateRules(**{**given, **lists})
