"""Configuration: schema, then group files, then the run file, then the command line.

`load` is the only door. Past it, nobody sees OmegaConf.
"""

# A second copy under its bare name would give every class twice.
if not __name__.startswith("medgen."):
    raise ImportError(f"import medgen.{__name__} instead")

from medgen.conf.loading import group_names, load
from medgen.conf.schema import RunConf

__all__ = ["RunConf", "group_names", "load"]
