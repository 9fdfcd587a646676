"""The loss of A2MIM: errors of hidden pixels, in the image and in its Fourier transform."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmssl.distributed.collectives import sum_over_processes, world_size
from mmssl.models.losses.numerics import in_full_precision, masked_mean
from mmssl.registry import LOSSES
from mmssl.utils.arguments import check_choices


def focal_l1(errors: Tensor) -> Tensor:
    """Returns ``e (2 sigmoid(e / 5) - 1)`` for absolute errors e >= 0 of any shape: small errors count less."""
    return errors * (2 * (0.2 * errors).sigmoid() - 1)


def focal_frequency(errors: Tensor) -> Tensor:
    """Focal loss of the mean error image in the frequency domain (Jiang et al., 2021, arXiv:2012.12821).

    F is the orthonormal Fourier transform of the mean of ``errors`` over the images of all processes, and the loss is
    the mean of ``w |F|^2`` over channels and frequencies, where ``w = log(1 + |F|)`` divided by its largest value, a
    constant. Errors of different images cancel out, as in the official code, which averages over the images of one
    process.

    Args:
        errors: Prediction minus image, (N, 3, H, W).

    Returns:
        Scalar >= 0.
    """
    mean = sum_over_processes(errors.mean(dim=0)) / world_size()
    square = torch.view_as_real(torch.fft.fft2(mean, norm='ortho')).square().sum(dim=-1)  # |F|^2, (3, H, W)
    weight = (square.detach().sqrt() + 1).log()
    weight = (weight / weight.max().clamp(min=torch.finfo(weight.dtype).tiny)).clamp(0, 1)
    return (weight * square).mean()


@in_full_precision
def frequency_error(
    predictions: Tensor, images: Tensor, hidden: Tensor, visible_weight: float, spectrum: str
) -> Tensor:
    """Error of the prediction in the frequency domain (Li et al., 2023, arXiv:2205.13943).

    Visible pixels of the prediction are first replaced by the mean of image and prediction, without gradient.

    Args:
        predictions: (N, 3, H, W).
        images: (N, 3, H, W), normalised.
        hidden: (N, 1, H, W) bool, True = hidden.
        visible_weight: Share of the prediction, in [0, 1], that is kept at visible pixels.
        spectrum: ``'batch'`` for ``focal_frequency``, ``'image'`` for the mean over images of ``focal_l1(|F|)``.

    Returns:
        Scalar >= 0.
    """
    share = hidden + ~hidden * visible_weight
    errors = predictions * share + (predictions.detach() + images) / 2 * (1 - share) - images
    if spectrum == 'batch':
        return focal_frequency(errors)
    return focal_l1(torch.fft.fft2(errors, norm='ortho').abs()).mean()


@LOSSES.register_module()
class A2MIMLoss(nn.Module):
    """Spatial error of hidden pixels plus an error in the frequency domain (Li et al., 2023, arXiv:2205.13943).

    ``mean over hidden pixels of l(|y - x|) + frequency_weight * frequency_error``.

    Args:
        focal: Whether l is ``focal_l1`` (residual networks); False means l is the absolute error (transformers).
        frequency_weight: Weight of the error in the frequency domain; 0 leaves it out.
        visible_weight: Share of the prediction that is kept at visible pixels, see ``frequency_error``.
        spectrum: ``'batch'`` or ``'image'``, see ``frequency_error``.

    Raises:
        ValueError: ``spectrum`` is neither ``'batch'`` nor ``'image'``.
    """

    def __init__(
        self,
        focal: bool = True,
        frequency_weight: float = 0.5,
        visible_weight: float = 1e-3,
        spectrum: str = 'batch',
    ) -> None:
        super().__init__()
        check_choices(spectrum=(spectrum, ('batch', 'image')))
        self.focal = focal
        self.frequency_weight = frequency_weight
        self.visible_weight = visible_weight
        self.spectrum = spectrum

    def forward(self, predictions: Tensor, images: Tensor, hidden: Tensor) -> Tensor:
        """Returns the loss, a scalar.

        Args:
            predictions: (N, 3, H, W).
            images: (N, 3, H, W), normalised.
            hidden: (N, 1, H, W) bool, True = hidden.
        """
        loss = spatial_error(predictions, images, hidden, self.focal)
        if not self.frequency_weight:
            return loss
        frequency = frequency_error(predictions, images, hidden, self.visible_weight, self.spectrum)
        return loss + self.frequency_weight * frequency


@in_full_precision
def spatial_error(predictions: Tensor, images: Tensor, hidden: Tensor, focal: bool) -> Tensor:
    """Mean error of hidden pixels and colours, see ``A2MIMLoss``; arguments as there."""
    errors = (predictions - images).abs()
    return masked_mean((focal_l1(errors) if focal else errors).mean(dim=1, keepdim=True), hidden)
