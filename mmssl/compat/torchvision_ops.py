"""Operators of mmcv's compiled module, computed by torchvision.

Every function has the name, the arguments and the effect of the function in ``mmcv._ext`` that ``mmcv.ops`` calls:
results are written into tensors of the caller, and backward functions get the tensors that the forward function wrote.
``mmssl.compat.mmcv_ext`` uses these functions as the module ``mmcv._ext``.

torchvision's kernels accept float32 and float64, so half precision is computed in float32. Backward functions call the
operators in ``torch.ops.torchvision`` directly, because mmcv defines the autograd functions itself.
"""

from __future__ import annotations

from typing import Any

import torch
import torchvision  # noqa: F401  registers the operators
from torch import Tensor
from torchvision.ops import nms as torchvision_nms
from torchvision.ops import sigmoid_focal_loss

from mmssl.compat.missing_operator import MissingOperatorError

_ops = torch.ops.torchvision


def get_compiler_version() -> str:
    """Returns the name of mmcv's compiler for the log."""
    return 'none, operators of torchvision'


def get_compiling_cuda_version() -> str:
    """Returns the name of mmcv's CUDA compiler for the log."""
    return 'none, operators of torchvision'


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Returns the positions (K,) of the boxes that are kept, in order of descending score.

    Args:
        boxes: (N, 4), corners x1, y1, x2, y2 in pixels.
        scores: (N,), scores of the boxes.
        iou_threshold: IoU with a better box above which a box is dropped.
        offset: 1 if a box includes its last pixel, so that its width is x2 - x1 + 1; else 0.
    """
    boxes = boxes.double() if boxes.dtype == torch.float64 else boxes.float()
    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    return torchvision_nms(boxes, scores.to(boxes.dtype), iou_threshold)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS (Bodla et al., 2017, arXiv:1704.04503), which reduces the score of overlapping boxes.

    Args:
        boxes: (N, 4), corners x1, y1, x2, y2 in pixels.
        scores: (N,), scores of the boxes.
        dets: (N, 5), whose first K rows receive the kept boxes with their new scores, in descending order.
        iou_threshold: IoU from which methods 0 and 1 reduce the score.
        sigma: Width of the Gaussian of method 2.
        min_score: New score below which a box is dropped.
        method: Factor of the score of a box with IoU u to a better box: 0 for 0; 1 for 1 - u; 2 for exp(-u^2 / sigma).
        offset: 1 if a box includes its last pixel, else 0; see ``nms``.

    Returns:
        Positions (K,) of the kept boxes in ``boxes``.
    """
    scores, left = scores.clone(), torch.arange(len(boxes), device=boxes.device)
    areas = (boxes[:, 2:] - boxes[:, :2] + offset).prod(1)
    kept: list[Tensor] = []
    while len(left):
        best = scores[left].argmax()
        index = left[best]
        dets[len(kept)] = torch.cat([boxes[index], scores[index, None]])
        kept.append(index)
        left = torch.cat([left[:best], left[best + 1 :]])
        lower = torch.maximum(boxes[left, :2], boxes[index, :2])
        upper = torch.minimum(boxes[left, 2:], boxes[index, 2:])
        common = (upper - lower + offset).clamp(min=0).prod(1)
        overlap = common / (areas[left] + areas[index] - common)
        if method == 2:
            factor = (-overlap.square() / sigma).exp()
        else:
            reduced = 1 - overlap if method == 1 else torch.zeros_like(overlap)
            factor = torch.where(overlap >= iou_threshold, reduced, 1.0)
        scores[left] = scores[left] * factor
        left = left[scores[left] >= min_score]
    return torch.stack(kept) if kept else left


def roi_align_forward(
    input: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor, **options: Any
) -> None:
    """Writes the means of bilinear samples of ``input`` in the bins of each region into ``output`` (K, C, h, w).

    Args:
        input: (N, C, H, W), feature maps.
        rois: (K, 5): index in the batch, then corners x1, y1, x2, y2 in pixels of the image.
        output: (K, C, h, w), receives the result.
        argmax_y: Tensor for the maximum, not used.
        argmax_x: Tensor for the maximum, not used.
        **options: ``aligned_height``, ``aligned_width``, ``spatial_scale``, ``sampling_ratio``, ``pool_mode`` and
            ``aligned`` of ``mmcv.ops.roi_align``.

    Raises:
        MissingOperatorError: ``pool_mode`` is 0, the maximum, which torchvision does not support.
    """
    scale, size, sampling = _roi_align_options(options)
    output.copy_(_ops.roi_align(*_floats(input, rois), scale, *size, *sampling))


def roi_align_backward(
    grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_input: Tensor, **options: Any
) -> None:
    """Writes the gradient of ``roi_align_forward`` for ``grad_output`` into ``grad_input`` (N, C, H, W)."""
    scale, size, sampling = _roi_align_options(options)
    grad_input.copy_(_ops._roi_align_backward(*_floats(grad_output, rois), scale, *size, *grad_input.shape, *sampling))


def _roi_align_options(options: dict[str, Any]) -> tuple[float, tuple[int, int], tuple[int, bool]]:
    if options['pool_mode'] != 1:
        raise MissingOperatorError("roi_align with pool_mode='max'")
    size = (options['aligned_height'], options['aligned_width'])
    return options['spatial_scale'], size, (options['sampling_ratio'], options['aligned'])


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Writes the maxima of ``input`` in the bins of each region, and their positions.

    mmcv divides a region into bins before it rounds coordinates, torchvision rounds first. Therefore torchvision pools
    every bin of mmcv as a separate region with integer coordinates.

    Args:
        input: (N, C, H, W), feature maps.
        rois: (K, 5): index in the batch, then corners x1, y1, x2, y2 in pixels of the image.
        output: (K, C, pooled_height, pooled_width), receives the maxima; 0 for an empty bin.
        argmax: Shape of ``output``, int32, receives y * W + x of each maximum; -1 for an empty bin.
        pooled_height: Number of bins in a column.
        pooled_width: Number of bins in a row.
        spatial_scale: Number of pixels of ``input`` per pixel of the image.
    """
    bins, is_empty = _pooling_bins(rois, input.shape, (pooled_height, pooled_width), spatial_scale)
    maxima, places = _ops.roi_pool(*_floats(input, bins), 1.0, 1, 1)
    output.copy_(_from_bins(maxima.masked_fill(is_empty, 0), output))
    argmax.copy_(_from_bins(places.masked_fill(is_empty, -1), output))


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Writes the gradient of ``roi_pool_forward`` for ``grad_output`` into ``grad_input`` (N, C, H, W)."""
    bins, _ = _pooling_bins(rois, grad_input.shape, (pooled_height, pooled_width), spatial_scale)
    grads, bins = _floats(_to_bins(grad_output), bins)
    grad_input.copy_(_ops._roi_pool_backward(grads, bins, _to_bins(argmax), 1.0, 1, 1, *grad_input.shape))


def _pooling_bins(
    rois: Tensor, shape: torch.Size, size: tuple[int, int], spatial_scale: float
) -> tuple[Tensor, Tensor]:
    """Returns the bins as regions (K * h * w, 5), last pixel included, and which are empty (K * h * w, 1, 1, 1)."""
    rois = rois.double() if rois.dtype == torch.float64 else rois.float()
    edges, empty = [], []
    for axis, bins in ((0, size[1]), (1, size[0])):  # x, y
        start = rois[:, 1 + axis] * spatial_scale
        length = (rois[:, 3 + axis] + 1) * spatial_scale - start
        position = torch.arange(bins, device=rois.device)
        low = (position * (length / bins)[:, None] + start[:, None]).floor()
        high = ((position + 1) * (length / bins)[:, None] + start[:, None]).ceil()
        low, high = (edge.clamp(0, shape[3 - axis]) for edge in (low, high))  # (K, bins)
        edges.append((low, high - 1))
        empty.append((high <= low) | (length <= 0)[:, None])
    (left, right), (top, bottom) = edges
    k, (height, width) = len(rois), size
    columns = [rois[:, 0, None, None], left[:, None], top[:, :, None], right[:, None], bottom[:, :, None]]
    regions = torch.stack([column.expand(k, height, width) for column in columns], -1)
    return regions.reshape(-1, 5), (empty[0][:, None] | empty[1][:, :, None]).reshape(-1, 1, 1, 1)


def _to_bins(maps: Tensor) -> Tensor:
    """Reshapes (K, C, h, w) to (K * h * w, C, 1, 1)."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1], 1, 1)


def _from_bins(bins: Tensor, like: Tensor) -> Tensor:
    """Reshapes (K * h * w, C, 1, 1) to (K, C, h, w), the shape of ``like``."""
    k, channels, height, width = like.shape
    return bins.reshape(k, height, width, channels).permute(0, 3, 1, 2)


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Writes the focal loss (Lin et al., 2017, arXiv:1708.02002, Eq. 5) of each logit into ``output`` (N, C).

    Args:
        input: (N, C), logits.
        target: (N,) int64, class of each row; C or any other number means background.
        weight: (C,), weight of the rows of each class, or empty. Background rows have the weight 1; mmcv's kernel reads
            their weight from beyond the end of the tensor.
        output: (N, C), receives the result, not reduced.
        gamma: Exponent of the modulating factor.
        alpha: Weight of positives; negatives have the weight 1 - alpha.
    """
    is_class = _is_class(input, target)
    loss = sigmoid_focal_loss(input, is_class.to(input.dtype), alpha=alpha, gamma=gamma)
    output.copy_(loss * _row_weights(is_class, weight))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Writes the derivative of each value of ``sigmoid_focal_loss_forward`` into ``grad_input`` (N, C)."""
    is_class = _is_class(input, target)
    with torch.enable_grad():
        logits = input.detach().requires_grad_()
        loss = sigmoid_focal_loss(logits, is_class.to(input.dtype), alpha=alpha, gamma=gamma, reduction='sum')
        (grad,) = torch.autograd.grad(loss, logits)
    grad_input.copy_(grad * _row_weights(is_class, weight))


def _is_class(input: Tensor, target: Tensor) -> Tensor:
    return target[:, None] == torch.arange(input.shape[1], device=input.device)


def _row_weights(is_class: Tensor, weight: Tensor) -> Tensor | float:
    if not weight.numel():
        return 1.0
    return torch.where(is_class.any(1), is_class.to(weight.dtype) @ weight, 1.0)[:, None]


def deform_conv_forward(
    input: Tensor, weight: Tensor, offset: Tensor, output: Tensor, columns: Tensor, ones: Tensor, **options: int
) -> None:
    """Writes a deformable convolution (Dai et al., 2017, arXiv:1703.06211) into ``output``.

    Args:
        input: (N, C, H, W), feature maps.
        weight: (D, C / group, h, w), kernels.
        offset: (N, 2 * deformable_group * h * w, H', W'), offsets of the samples, y before x.
        output: (N, D, H', W'), receives the result.
        columns: Buffer of mmcv, not used.
        ones: Buffer of mmcv, not used.
        **options: Geometry: ``kW, kH, dW, dH, padW, padH, dilationW, dilationH, group, deformable_group, im2col_step``.
    """
    output.copy_(_ops.deform_conv2d(*_unmodulated(input, weight, offset), *_v1_geometry(options), False))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **options: int,
) -> None:
    """Writes the gradients of input and offset."""
    tensors = _floats(grad_output, *_unmodulated(input, weight, offset))
    grads = _ops._deform_conv2d_backward(*tensors, *_v1_geometry(options), False)
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[2])


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    scale: float,
    **options: int,
) -> None:
    """Adds ``scale`` times the gradient of the weight to ``grad_weight``."""
    tensors = _floats(grad_output, *_unmodulated(input, grad_weight, offset))
    grad_weight.add_(_ops._deform_conv2d_backward(*tensors, *_v1_geometry(options), False)[1], alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    **options: int,
) -> None:
    """Writes a modulated deformable convolution (Zhu et al., 2019, arXiv:1811.11168) into ``output``.

    Args:
        input: (N, C, H, W), feature maps.
        weight: (D, C / group, h, w), kernels.
        bias: (D,), or empty.
        ones: Buffer of mmcv, not used.
        offset: (N, 2 * deformable_group * h * w, H', W'), offsets of the samples, y before x.
        mask: (N, deformable_group * h * w, H', W'), factor of each sample.
        output: (N, D, H', W'), receives the result.
        columns: Buffer of mmcv, not used.
        **options: Geometry: ``kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group,
            deformable_group, with_bias``.
    """
    tensors = _floats(input, weight, offset, mask, _bias(bias, weight))
    output.copy_(_ops.deform_conv2d(*tensors, *_v2_geometry(options), True))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    **options: int,
) -> None:
    """Writes the gradients of input, weight, bias if there is one, offset and mask."""
    tensors = _floats(grad_output, input, weight, offset, mask, _bias(bias, weight))
    grads = _ops._deform_conv2d_backward(*tensors, *_v2_geometry(options), True)
    for target, grad in zip((grad_input, grad_weight, grad_offset, grad_mask), grads):
        target.copy_(grad)
    if options['with_bias']:
        grad_bias.copy_(grads[4])


def _unmodulated(input: Tensor, weight: Tensor, offset: Tensor) -> list[Tensor]:
    """Returns input, weight, offset, and the tensors that torchvision expects if there is no mask and no bias."""
    return _floats(input, weight, offset, input.new_zeros(len(input), 1), input.new_zeros(len(weight)))


def _bias(bias: Tensor, weight: Tensor) -> Tensor:
    return bias if bias.numel() else weight.new_zeros(len(weight))


def _v1_geometry(options: dict[str, int]) -> list[int]:
    names = ('dH', 'dW', 'padH', 'padW', 'dilationH', 'dilationW', 'group', 'deformable_group')
    return [options[name] for name in names]


def _v2_geometry(options: dict[str, int]) -> list[int]:
    names = ('stride_h', 'stride_w', 'pad_h', 'pad_w', 'dilation_h', 'dilation_w', 'group', 'deformable_group')
    return [options[name] for name in names]


def _floats(*tensors: Tensor) -> list[Tensor]:
    """Returns the tensors in float64 if the first one is in float64, else in float32."""
    dtype = torch.float64 if tensors[0].dtype == torch.float64 else torch.float32
    return [tensor.to(dtype) for tensor in tensors]
