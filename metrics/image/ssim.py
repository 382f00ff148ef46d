"""Structural similarity of 8-bit luma, in two windows, and over scales.

The box window is computed in exact integers: sums over 7 x 7 pixels of 8-bit values and of their
products fit in 32 bits, so only the last division rounds, whatever the batch or the device.
Pictures are worked through in strips, which bounds memory and keeps the strip in the cache.

Sources: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
structural similarity", IEEE TIP 13(4), 2004; Wang, Simoncelli, Bovik, "Multi-scale structural
similarity for image quality assessment", Asilomar 2003; window and covariance conventions as in
scikit-image's `structural_similarity`.
"""

import torch
import torch.nn.functional as nn

BOX = 7
GAUSSIAN = 11
_SIGMA = 1.5
_LUMINANCE = (0.01 * 255) ** 2
_CONTRAST = (0.03 * 255) ** 2
_STRIP = 256  # rows; few enough for the cache, many enough to outweigh the calls
# Weights of the five scales, from the 2003 paper; they sum to 1.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# The smallest side that still holds the window at the coarsest of the five scales.
MULTI_SCALE_SIDE = (GAUSSIAN - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1


def box_ssim(first: torch.Tensor, second: torch.Tensor) -> float:
    """Mean SSIM with a 7 x 7 box window and sample covariance, data range 255.

    Args:
        first: uint8 [height, width], both at least 7.
        second: the same shape.

    Returns:
        A value in [-1, 1]; exactly 1 for equal pictures.
    """
    rows, total = first.shape[0] - BOX + 1, 0.0
    for top in range(0, rows, _STRIP):
        part = slice(top, min(top + _STRIP, rows) + BOX - 1)
        total += float(box_map(first[part], second[part]).sum(dtype=torch.float64))
    return total / (rows * (first.shape[1] - BOX + 1))


def box_map(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """SSIM at every place of the 7 x 7 window, float32 [height - 6, width - 6]; see `box_ssim`.

    From the sums of u = x + y and v = x - y: 4 x y = u^2 - v^2 and 2 (x^2 + y^2) = u^2 + v^2, so
    two sums of values and two of squares are all it takes, and no product of both pictures.
    """
    x, y = first.short(), second.short()
    mixed = torch.stack((x + y, x.sub_(y)))
    n = BOX * BOX
    sums = _box_sum(mixed).int()  # at most 49 * 510: 16 bits hold it
    squares = mixed.int()
    spread = _box_sum(squares.mul_(squares)).mul_(n)
    # n^2 times the squared means, and n (n-1) times the sample variances, of u and of v.
    means = sums.mul_(sums)
    spread.sub_(means)
    # Exact up to here; the 24 bits of each ratio leave an error well below 1e-6 in the mean.
    light, texture = 2 * _LUMINANCE * n * n, 2 * _CONTRAST * n * (n - 1)
    above = (means[0] - means[1]).float().add_(light)
    above.mul_((spread[0] - spread[1]).float().add_(texture))
    below = means[0].add_(means[1]).float().add_(light)
    below.mul_(spread[0].add_(spread[1]).float().add_(texture))
    return above.div_(below)


def _box_sum(x: torch.Tensor) -> torch.Tensor:
    """Sums over the window in the last two directions, which change places twice."""
    # 7 = 4 + 2 + 1: four additions a direction in place of six.
    for _ in range(2):
        width = x.shape[-1] - BOX + 1
        two = x[..., :-1] + x[..., 1:]
        four = two[..., :width] + two[..., 2 : 2 + width]
        x = four.add_(two[..., 4 : 4 + width]).add_(x[..., 6:]).mT
    return x


def gaussian_ssim(first: torch.Tensor, second: torch.Tensor) -> float:
    """Mean SSIM as its authors define it: Gaussian window (sigma 1.5, 11 x 11), range 255.

    Args:
        first: uint8 [height, width], both at least 11.
        second: the same shape.

    Returns:
        A value in [-1, 1].
    """
    rows, total = first.shape[0] - GAUSSIAN + 1, 0.0
    for top in range(0, rows, _STRIP):
        part = slice(top, min(top + _STRIP, rows) + GAUSSIAN - 1)
        light, texture = _gaussian_maps(first[part].double(), second[part].double())
        total += float((light * texture).sum())
    return total / (rows * (first.shape[1] - GAUSSIAN + 1))


def multi_scale_ssim(first: torch.Tensor, second: torch.Tensor) -> float:
    """MS-SSIM over five scales with the weights of the 2003 paper, range 255.

    Args:
        first: uint8 [height, width], both at least `MULTI_SCALE_SIDE`.
        second: the same shape.

    Returns:
        A value in [0, 1]. A negative mean contrast term counts as 0: its real power is undefined.
    """
    x, y = first.double(), second.double()
    result = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        last = scale == len(SCALE_WEIGHTS) - 1
        result *= max(_mean_term(x, y, with_light=last), 0.0) ** weight
        if not last:
            x, y = _halve(x), _halve(y)
    return result


def _mean_term(x: torch.Tensor, y: torch.Tensor, with_light: bool) -> float:
    rows, total = x.shape[0] - GAUSSIAN + 1, 0.0
    for top in range(0, rows, _STRIP):
        part = slice(top, min(top + _STRIP, rows) + GAUSSIAN - 1)
        light, texture = _gaussian_maps(x[part], y[part])
        total += float((light * texture if with_light else texture).sum())
    return total / (rows * (x.shape[1] - GAUSSIAN + 1))


def _halve(x: torch.Tensor) -> torch.Tensor:
    # An odd side is padded with a line of zeros in front, as the package pytorch-msssim does.
    height, width = x.shape
    return nn.avg_pool2d(x[None, None], 2, padding=(height % 2, width % 2))[0, 0]


def _gaussian_maps(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean_x, mean_y = _blur(x), _blur(y)
    product, squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    covariance = _blur(x * y) - product
    variances = _blur(x * x + y * y) - squares
    light = (2 * product + _LUMINANCE) / (squares + _LUMINANCE)
    return light, (2 * covariance + _CONTRAST) / (variances + _CONTRAST)


def _blur(x: torch.Tensor) -> torch.Tensor:
    offsets = torch.arange(GAUSSIAN, dtype=torch.float64) - GAUSSIAN // 2
    kernel = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    taps = (kernel / kernel.sum()).tolist()
    for _ in range(2):
        width = x.shape[1] - GAUSSIAN + 1
        # The kernel is symmetric: the two ends of each pair are added before they are weighted.
        middle = GAUSSIAN // 2
        total = x[:, middle : middle + width] * taps[middle]
        for k in range(middle):
            mirror = GAUSSIAN - 1 - k
            total += (x[:, k : k + width] + x[:, mirror : mirror + width]) * taps[k]
        x = total.T
    return x
