from asyncio import AbstractEventLoop
from typing import Any

class S3FileSystem:
    loop: AbstractEventLoop
    retries: int

    # The names of S3's own arguments and replies are its interface's, not this library's.
    def call_s3(self, method: str, **arguments: object) -> Any: ...
    async def _call_s3(self, method: str, **arguments: object) -> Any: ...
    def _find_bucket_key(self, path: str) -> tuple[str, str]: ...
