import numpy as np
from numpy.typing import NDArray

def find_boundaries(label_img: NDArray[np.bool_], mode: str) -> NDArray[np.bool_]: ...
