import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

class AffineTransform:
    def __init__(self, scale: float, translation: tuple[float, float]) -> None: ...

def resize(
    image: Floats, output_shape: tuple[int, ...], order: int = ..., anti_aliasing: bool = ...
) -> Floats: ...
def warp(
    image: Floats, inverse_map: AffineTransform, order: int, mode: str, cval: float
) -> Floats: ...
