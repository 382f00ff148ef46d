import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

def equalize_adapthist(image: Floats, clip_limit: float) -> Floats: ...
def rescale_intensity(
    image: Floats, in_range: tuple[float, float], out_range: tuple[float, float]
) -> Floats: ...
