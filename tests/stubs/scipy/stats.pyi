from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = Sequence[float] | NDArray[np.floating | np.integer]

class Test:
    statistic: float
    pvalue: float

class Bounds:
    low: float
    high: float

class BinomTest:
    def proportion_ci(self, confidence_level: float, method: str) -> Bounds: ...

class Normal:
    def cdf(self, x: float) -> float: ...
    def sf(self, x: float) -> float: ...

norm: Normal

def binomtest(k: int, n: int) -> BinomTest: ...
def rankdata(a: Numbers) -> NDArray[np.float64]: ...
def wilcoxon(x: Numbers, zero_method: str) -> Test: ...
