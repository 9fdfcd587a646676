"""Estimates which part of an image is salient."""

from __future__ import annotations

import cv2
import numpy as np

_SIDE = 64  # pixels of the long side, at which spectra are compared
_BLUR = 2.5  # pixels


def spectral_residual(image: np.ndarray) -> np.ndarray:
    """Estimates saliency from what is unusual in the spectrum of an image (Hou and Zhang, CVPR 2007, Eqs. 7 to 9).

    With the logarithm L of the amplitudes, their phases P and the mean over 3 x 3 neighbours, ``L - mean(L)`` is the
    residual; transformed back with P, squared and blurred, it is the saliency. Pixels above Otsu's threshold count. The
    estimator finds small and distinct objects; a network that was trained for saliency finds better ones.

    Args:
        image: uint8 (H, W, 3).

    Returns:
        bool (H, W), True = salient; at least one pixel is. An image of one colour is salient everywhere.
    """
    from skimage.filters import threshold_otsu  # here, because scikit-image and SciPy are slow to import

    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    small = (max(round(width * scale), 1), max(round(height * scale), 1))
    grey = cv2.resize(image.mean(axis=2, dtype=np.float32), small, interpolation=cv2.INTER_AREA)
    if np.ptp(grey) < 1:  # of 255
        return np.ones((height, width), dtype=bool)
    spectrum = np.fft.fft2(grey)
    amplitude = np.log(np.abs(spectrum) + 1e-8).astype(np.float32)
    residual = amplitude - cv2.blur(amplitude, (3, 3))
    saliency = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    saliency = cv2.GaussianBlur(saliency.astype(np.float32), (0, 0), _BLUR)
    saliency = cv2.resize(saliency, (width, height), interpolation=cv2.INTER_LINEAR)
    mask = saliency > threshold_otsu(saliency)
    return mask if mask.any() else np.ones((height, width), dtype=bool)
