"""Exit codes of every command."""

OK = 0
INTERNAL = 1
USAGE = 2
INCOMPLETE = 3  # some rows are not ok beyond the allowed share
REGRESSION = 4
INCONCLUSIVE = 5
INTERRUPTED = 130
TERMINATED = 143
PREFLIGHT = 6  # the plan cannot fit, or the store cannot be used


def code_of(err: BaseException) -> int | None:
    """The exit code of an error that was raised on purpose, or of Ctrl-C; None for any other."""
    if isinstance(err, KeyboardInterrupt):
        return INTERRUPTED
    from medgen.conf.reading import ConfError
    from medgen.engine import errors

    codes: list[tuple[tuple[type[Exception], ...], int]] = [
        ((ConfError, errors.ConfigError, errors.BenchmarkError), USAGE),
        ((errors.PlanError, errors.AdapterError, errors.StoreError), PREFLIGHT),
        ((errors.SpendingError,), INCOMPLETE),
        ((errors.MedgenError,), INTERNAL),
    ]
    return next((code for kinds, code in codes if isinstance(err, kinds)), None)
