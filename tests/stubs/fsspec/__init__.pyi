from typing import BinaryIO, Literal

from s3fs import S3FileSystem

from . import asyn as asyn
from . import config as config
from . import core as core

class OpenFile:
    def __enter__(self) -> BinaryIO: ...
    def __exit__(self, *args: object) -> None: ...

def filesystem(protocol: Literal["s3"], **options: object) -> S3FileSystem: ...
def open(urlpath: str, mode: Literal["rb"]) -> OpenFile: ...
