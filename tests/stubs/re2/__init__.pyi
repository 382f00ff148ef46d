class Options:
    log_errors: bool

class error(Exception): ...

class _Regexp:
    groups: int

    def search(self, text: str) -> _Match | None: ...
    def sub(self, repl: str, text: str) -> str: ...

class _Match:
    re: _Regexp

    def __getitem__(self, group: int) -> str | None: ...

def compile(pattern: str, options: Options) -> _Regexp: ...
