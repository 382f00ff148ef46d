"""Exit codes of every command."""

OK = 0
INTERNAL = 1
USAGE = 2
INCOMPLETE = 3  # some rows are not ok beyond the allowed share
REGRESSION = 4
INCONCLUSIVE = 5
PREFLIGHT = 6  # the plan cannot fit, or the store cannot be used
