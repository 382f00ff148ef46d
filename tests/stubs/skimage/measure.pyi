import numpy as np
from numpy.typing import NDArray

def label(label_image: NDArray[np.bool_]) -> NDArray[np.int64]: ...
