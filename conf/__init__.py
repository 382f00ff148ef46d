"""Configuration: schema, then group files, then the run file, then the command line.

`load` is the only door. Past it, nobody sees OmegaConf.
"""

from conf.loading import group_names, load
from conf.schema import RunConf

__all__ = ["RunConf", "group_names", "load"]
