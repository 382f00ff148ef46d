"""Everything this project raises on purpose.

MedgenError
├── ConfigError      the run was described wrongly; nothing has started
├── BenchmarkError   outside data cannot become a benchmark; names file, row and sample
├── ImageError       bytes are not a picture that may be decoded; the caller makes it a row
├── BoundsError      there is more of something than may be read; the caller makes it a row
├── PlanError        the plan cannot fit the cluster; carries the numbers
├── AdapterError     a model or endpoint cannot be used at all
│   └── IdentityError a worker holds another model than the first of its run: the machine's fault
├── StoreError       results cannot be read or written
│   ├── BusyError    the store did not answer properly; asking again may help
│   └── CorruptError an object is not what was written, or in no form that this version reads
│       └── StaleError what was known of an object holds no more; repair finds nothing
├── SpendingError    a spending cap was reached; everything so far is committed
└── EngineDied       the model's engine in this process is dead, and so must the process be

One bad sample is not an exception: it is a row with a status and a reason.
Every class takes plain positional arguments, so that it survives pickling between processes.
"""


def is_out_of_memory(err: BaseException) -> bool:
    """Whether a machine had no memory left, as Python says it or PyTorch, which may not be here."""
    return isinstance(err, MemoryError) or type(err).__name__ == "OutOfMemoryError"


class MedgenError(Exception):
    """Root of all errors raised on purpose."""


class ConfigError(MedgenError):
    """The run was described wrongly; nothing has started."""


class BenchmarkError(MedgenError):
    """Outside data cannot become a benchmark."""


class ImageError(MedgenError):
    """Bytes from outside are not one picture of a sane size.

    `case` is one of not_an_image, damaged, oversized, animated, without_range and costly.
    """

    def __init__(self, message: str, case: str = "damaged") -> None:
        """`message` says what is wrong in words, `case` which kind of fault it is."""
        super().__init__(message)
        self.case = case


class BoundsError(MedgenError):
    """One reply, record or sample has more of something than may be read."""


class PlanError(MedgenError):
    """The plan cannot be carried out on this cluster."""


class AdapterError(MedgenError):
    """A model, weight or endpoint cannot be used at all."""


class IdentityError(AdapterError):
    """This worker holds something else than the first worker of its group in this run."""


class StoreError(MedgenError):
    """Results cannot be read or written."""


class BusyError(StoreError):
    """The store did not answer properly; asking again may help."""


class CorruptError(StoreError):
    """An object is not what was written there, or in no form that this version reads."""


class StaleError(CorruptError):
    """What this run knew of an object holds no more: it is gone, or another by now.

    Nothing is damaged, so no repair finds anything; the next start looks anew.
    """


class SpendingError(MedgenError):
    """A spending cap was reached."""


class EngineDied(MedgenError):
    """The model's engine in this process is dead: the process ends, nothing is committed."""
