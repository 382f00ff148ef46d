import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

def denoise_tv_chambolle(image: Floats, weight: float, channel_axis: int) -> Floats: ...
def inpaint_biharmonic(image: Floats, mask: NDArray[np.bool_], channel_axis: int) -> Floats: ...
