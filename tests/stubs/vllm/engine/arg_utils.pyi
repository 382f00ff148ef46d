from dataclasses import dataclass

@dataclass
class AsyncEngineArgs:
    def __init__(self, **arguments: object) -> None: ...
