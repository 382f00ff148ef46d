from enum import Enum

class RequestOutputKind(Enum):
    FINAL_ONLY = 2

class StructuredOutputsParams:
    def __init__(self, json: dict[str, object]) -> None: ...

class SamplingParams:
    def __init__(self, **parameters: object) -> None: ...
