"""Operators of ``mmcv.ops`` on torchvision: each against its formula as a plain loop, forward and gradient."""

from __future__ import annotations

import math
from importlib.util import find_spec
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck

from mmssl.compat.missing_operator import MissingOperatorError
from mmssl.compat.mmcv_ext import is_stand_in, provide_mmcv_ops

pytestmark = pytest.mark.skipif(find_spec('mmcv') is None, reason='needs mmcv')


@pytest.fixture(scope='module')
def ops() -> ModuleType:
    """``mmcv.ops`` as it is found when no compiled module is there."""
    provide_mmcv_ops()
    import mmcv._ext
    import mmcv.ops

    if not is_stand_in(mmcv._ext):
        pytest.skip('mmcv has compiled operators')
    return mmcv.ops


def random_boxes(count: int, size: float = 32.0) -> tuple[Tensor, Tensor]:
    """Boxes (count, 4) in an image of ``size`` pixels, and different scores (count,)."""
    corners = torch.rand(count, 2, 2) * size
    boxes = torch.cat([corners.amin(1), corners.amax(1)], 1)
    return boxes, torch.randperm(count) / count + 0.01


def overlap(a: list[float], b: list[float], offset: int) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + offset)
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + offset)
    area_a, area_b = ((box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (a, b))
    return width * height / (area_a + area_b - width * height)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [0.1, 0.5])
def test_nms(ops: ModuleType, threshold: float, offset: int) -> None:
    boxes, scores = random_boxes(60)
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if all(overlap(boxes[index].tolist(), boxes[other].tolist(), offset) <= threshold for other in kept):
            kept.append(index)
    assert 1 < len(kept) < 60
    dets, indices = ops.nms(boxes, scores, threshold, offset=offset)
    assert indices.tolist() == kept
    torch.testing.assert_close(dets, torch.cat([boxes[kept], scores[kept, None]], 1))
    dets, indices = ops.nms(boxes.numpy(), scores.numpy(), threshold, offset=offset, max_num=2, score_threshold=0.2)
    assert indices.tolist() == [index for index in kept if scores[index] > 0.2][:2]


def test_the_last_pixel_counts_with_offset_1(ops: ModuleType) -> None:
    boxes = torch.tensor([[0.0, 0, 9, 9], [5, 0, 14, 9]])  # overlap 1/3 of 10 x 10 pixels; 4 x 9 of 81 without
    scores = torch.tensor([0.9, 0.8])
    assert len(ops.nms(boxes, scores, 0.3, offset=1)[1]) == 1
    assert len(ops.nms(boxes, scores, 0.3, offset=0)[1]) == 2


def test_nms_in_half_precision_and_of_nothing(ops: ModuleType) -> None:
    boxes, scores = random_boxes(20)
    expected = ops.nms(boxes.half().float(), scores.half().float(), 0.3)[1]
    assert torch.equal(ops.nms(boxes.half(), scores.half(), 0.3)[1], expected)
    assert ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.3)[1].shape == (0,)


def test_batched_nms_keeps_classes_apart(ops: ModuleType) -> None:
    boxes, scores = random_boxes(40)
    labels = torch.arange(40) % 3
    dets, kept = ops.batched_nms(boxes, scores, labels, dict(type='nms', iou_threshold=0.3))
    expected = []
    for label in range(3):
        mine = (labels == label).nonzero()[:, 0]
        expected += mine[ops.nms(boxes[mine], scores[mine], 0.3)[1]].tolist()
    assert sorted(kept.tolist()) == sorted(expected)
    assert dets[:, 4].tolist() == sorted(scores[expected].tolist(), reverse=True)


@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
@pytest.mark.parametrize('offset', [0, 1])
def test_soft_nms(ops: ModuleType, method: str, offset: int) -> None:
    boxes, scores = random_boxes(30)
    left = dict(enumerate(scores.tolist()))
    kept, kept_scores = [], []
    while left:
        best = max(left, key=left.__getitem__)
        kept.append(best)
        kept_scores.append(left.pop(best))
        for index in list(left):
            u = overlap(boxes[best].tolist(), boxes[index].tolist(), offset)
            if method == 'gaussian':
                left[index] *= math.exp(-(u**2) / 0.5)
            elif u >= 0.3:
                left[index] *= 1 - u if method == 'linear' else 0
            if left[index] < 0.05:
                del left[index]
    dets, indices = ops.soft_nms(boxes, scores, 0.3, 0.5, 0.05, method, offset)
    assert 1 < len(kept) < 30 and indices.tolist() == kept
    torch.testing.assert_close(dets, torch.cat([boxes[kept], torch.tensor(kept_scores)[:, None]], 1))
    assert len(ops.soft_nms(torch.zeros(0, 4), torch.zeros(0))[1]) == 0


ROIS = torch.tensor(
    [[0, 1.3, 2.1, 9.7, 11.2], [1, 0, 0, 15, 15], [0, -4, -3, 6, 5], [1, 12, 9, 21, 19], [0, 5, 5, 5.3, 5.2]],
    dtype=torch.float64,
)  # the third and fourth reach over the border, the fifth is smaller than a pixel


def bilinear(image: Tensor, y: float, x: float) -> Tensor:
    """(C,) of (C, H, W) at a point; zero beyond one pixel from the border, the nearest pixel's value within it."""
    height, width = image.shape[1:]
    if y < -1 or y > height or x < -1 or x > width:
        return image.new_zeros(len(image))
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    low_y, low_x = int(y), int(x)
    high_y, high_x = min(low_y + 1, height - 1), min(low_x + 1, width - 1)
    wy, wx = y - low_y, x - low_x
    top = (1 - wx) * image[:, low_y, low_x] + wx * image[:, low_y, high_x]
    bottom = (1 - wx) * image[:, high_y, low_x] + wx * image[:, high_y, high_x]
    return (1 - wy) * top + wy * bottom


def roi_align_loop(
    images: Tensor, rois: Tensor, size: tuple[int, int], scale: float, sampling: int, aligned: bool
) -> Tensor:
    out = images.new_zeros(len(rois), images.shape[1], *size)
    for k, (index, *corners) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (corner * scale - (0.5 if aligned else 0) for corner in corners)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        bin_height, bin_width = height / size[0], width / size[1]
        rows = sampling or math.ceil(bin_height)
        columns = sampling or math.ceil(bin_width)
        for i in range(size[0]):
            for j in range(size[1]):
                samples = [
                    bilinear(images[int(index)], y1 + (i + (r + 0.5) / rows) * bin_height,
                             x1 + (j + (c + 0.5) / columns) * bin_width)
                    for r in range(rows) for c in range(columns)
                ]  # fmt: skip
                out[k, :, i, j] = torch.stack(samples).mean(0)
    return out


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling', [0, 2])
def test_roi_align(ops: ModuleType, sampling: int, aligned: bool) -> None:
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    grad = torch.randn(len(ROIS), 3, 3, 2, dtype=torch.float64)
    expected = roi_align_loop(images, ROIS, (3, 2), 0.5, sampling, aligned)
    found = ops.roi_align(images, ROIS, (3, 2), 0.5, sampling, 'avg', aligned)
    torch.testing.assert_close(found, expected)
    for result in (found, expected):
        result.backward(grad, inputs=[images])
        result.grad_images, images.grad = images.grad, None
    torch.testing.assert_close(found.grad_images, expected.grad_images)


def test_roi_align_in_half_precision_and_of_nothing(ops: ModuleType) -> None:
    images = torch.randn(2, 3, 8, 8)
    expected = ops.roi_align(images.bfloat16().float(), ROIS.bfloat16().float(), (3, 2), 0.5)
    found = ops.roi_align(images.bfloat16().requires_grad_(), ROIS.bfloat16(), (3, 2), 0.5)
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0.02)
    found.sum().backward()
    nothing = ops.roi_align(images.requires_grad_(), torch.zeros(0, 5), (3, 2), 0.5)
    nothing.sum().backward()
    assert nothing.shape == (0, 3, 3, 2) and not images.grad.any()


def test_roi_align_of_maxima_is_refused(ops: ModuleType) -> None:
    with pytest.raises(MissingOperatorError, match="roi_align with pool_mode='max'"):
        ops.roi_align(torch.zeros(1, 1, 4, 4), torch.tensor([[0, 0, 0, 2, 2.0]]), (2, 2), 1.0, 0, 'max')


def roi_pool_loop(images: Tensor, rois: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    height, width = images.shape[2:]
    out = images.new_zeros(len(rois), images.shape[1], *size)
    for k, (index, *corners) in enumerate(rois.tolist()):
        x1, y1 = corners[0] * scale, corners[1] * scale
        bin_width = ((corners[2] + 1) * scale - x1) / size[1]
        bin_height = ((corners[3] + 1) * scale - y1) / size[0]
        for i in range(size[0]):
            for j in range(size[1]):
                rows = range(max(math.floor(y1 + i * bin_height), 0), min(math.ceil(y1 + (i + 1) * bin_height), height))
                columns = range(max(math.floor(x1 + j * bin_width), 0), min(math.ceil(x1 + (j + 1) * bin_width), width))
                if rows and columns:
                    out[k, :, i, j] = images[int(index)][:, list(rows)][:, :, list(columns)].amax((1, 2))
    return out


@pytest.mark.parametrize('scale', [0.5, 0.37])
def test_roi_pool(ops: ModuleType, scale: float) -> None:
    images = torch.randn(2, 3, 8, 7, dtype=torch.float64, requires_grad=True)
    outside = torch.tensor([[0, 40, 40, 50, 50]], dtype=torch.float64)
    rois = torch.cat([ROIS, outside])
    grad = torch.randn(len(rois), 3, 3, 2, dtype=torch.float64)
    expected = roi_pool_loop(images, rois, (3, 2), scale)
    found = ops.roi_pool(images, rois, (3, 2), scale)
    assert torch.equal(found, expected) and not found[-1].any()
    (grad_found,) = torch.autograd.grad(found, images, grad)
    (grad_expected,) = torch.autograd.grad(expected, images, grad)
    torch.testing.assert_close(grad_found, grad_expected)


def test_roi_pool_of_mmcvs_own_example(ops: ModuleType) -> None:
    image = torch.tensor([[[[1.0, 2, 5, 6], [3, 4, 7, 8], [9, 10, 13, 14], [11, 12, 15, 16]]]])
    pooled = ops.roi_pool(image, torch.tensor([[0, 0, 0, 3.0, 3]]), (2, 2), 1.0)
    assert pooled.tolist() == [[[[4, 8], [12, 16]]]]


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
def test_sigmoid_focal_loss(ops: ModuleType, reduction: str, weighted: bool) -> None:
    logits = (torch.randn(6, 4, dtype=torch.float64) * 3).requires_grad_()
    target = torch.tensor([0, 3, 4, 2, 4, 1])  # 4 is background
    weight = torch.rand(4, dtype=torch.float64) if weighted else None
    rows = []
    for row, label in zip(logits, target.tolist()):
        p = row.sigmoid()
        terms = [
            -0.3 * (1 - p[c]) ** 1.7 * p[c].log() if c == label else -0.7 * p[c] ** 1.7 * (1 - p[c]).log()
            for c in range(4)
        ]
        rows.append(torch.stack(terms) * (weight[label] if weighted and label < 4 else 1))
    expected = torch.stack(rows)
    expected = dict(none=expected, mean=expected.sum() / 6, sum=expected.sum())[reduction]
    found = ops.sigmoid_focal_loss(logits, target, 1.7, 0.3, weight, reduction)
    torch.testing.assert_close(found, expected)
    grad = torch.randn_like(expected)
    (grad_found,) = torch.autograd.grad(found, logits, grad)
    (grad_expected,) = torch.autograd.grad(expected, logits, grad)
    torch.testing.assert_close(grad_found, grad_expected)


def test_sigmoid_focal_loss_of_large_logits_is_finite(ops: ModuleType) -> None:
    logits = torch.tensor([[300.0, -300.0], [-300.0, 300.0]], requires_grad=True)
    loss = ops.sigmoid_focal_loss(logits, torch.tensor([0, 0]), 2.0, 0.25, None, 'sum')
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


GEOMETRIES = [dict(), dict(stride=2, padding=1), dict(padding=2, dilation=2), dict(padding=1, groups=2)]


def problem(
    geometry: dict[str, int], deform_groups: int = 1, kernel: tuple[int, int] = (3, 2)
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Input (2, 4, 7, 6), weight (6, ., 3, 2), zero offsets and masks of one."""
    images = torch.randn(2, 4, 7, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, 4 // geometry.get('groups', 1), *kernel, dtype=torch.float64, requires_grad=True)
    size = F.conv2d(images, weight, **geometry).shape[2:]
    points = deform_groups * kernel[0] * kernel[1]
    offset = torch.zeros(2, 2 * points, *size, dtype=torch.float64, requires_grad=True)
    return images, weight, offset, torch.ones(2, points, *size, dtype=torch.float64, requires_grad=True)


def assert_same_with_gradients(found: Tensor, expected: Tensor, *inputs: Tensor) -> None:
    torch.testing.assert_close(found, expected)
    grad = torch.randn_like(expected)
    grads = [torch.autograd.grad(output, inputs, grad, retain_graph=True) for output in (found, expected)]
    for a, b in zip(*grads):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize('geometry', GEOMETRIES, ids=str)
def test_deformable_convolution_without_offsets_is_a_convolution(ops: ModuleType, geometry: dict[str, int]) -> None:
    images, weight, offset, mask = problem(geometry)
    bias = torch.randn(6, dtype=torch.float64, requires_grad=True)
    assert_same_with_gradients(
        ops.deform_conv2d(images, offset, weight, *geometry_of(geometry)),
        F.conv2d(images, weight, **geometry), images, weight,
    )  # fmt: skip
    assert_same_with_gradients(
        ops.modulated_deform_conv2d(images, offset, mask * 0.3, weight, bias, *geometry_of(geometry)),
        F.conv2d(images, weight * 0.3, bias, **geometry), images, weight, bias,
    )  # fmt: skip


def geometry_of(geometry: dict[str, int], deform_groups: int = 1) -> list[int]:
    defaults = dict(stride=1, padding=0, dilation=1, groups=1)
    return [*(defaults | geometry).values(), deform_groups]


def test_whole_offsets_move_the_input_y_before_x(ops: ModuleType) -> None:
    images, weight, offset, mask = problem(dict(padding=1), deform_groups=2)
    moves = torch.tensor([[1.0, -2.0], [0.0, 1.0]], dtype=torch.float64)  # (y, x) of each half of the channels
    with torch.no_grad():
        offset.view(2, 2, 6, 2, *offset.shape[2:]).copy_(moves[None, :, None, :, None, None])
    padded = F.pad(images, [4] * 4)
    # what the convolution of padding 1 sees: one row further down and two columns left; one column right
    wide = torch.cat([padded[:, :2, 4:13, 1:9], padded[:, 2:, 3:12, 4:12]], 1)
    expected = F.conv2d(wide, weight)
    assert_same_with_gradients(
        ops.deform_conv2d(images, offset, weight, *geometry_of(dict(padding=1), 2)), expected, images, weight
    )
    assert_same_with_gradients(
        ops.modulated_deform_conv2d(images, offset, mask, weight, None, *geometry_of(dict(padding=1), 2)),
        expected, images, weight,
    )  # fmt: skip


def test_gradients_of_offsets_and_masks(ops: ModuleType) -> None:
    images, weight, offset, mask = problem(dict(stride=2, padding=1), deform_groups=2)
    offset = (torch.rand_like(offset) * 0.6 + 0.2).requires_grad_()  # bilinear sampling has kinks at whole numbers
    geometry = geometry_of(dict(stride=2, padding=1), 2)
    bias = torch.randn(6, dtype=torch.float64, requires_grad=True)
    inputs = (images, offset, weight, mask, bias)
    assert gradcheck(lambda x, o, w, m, b: ops.deform_conv2d(x, o, w, *geometry), inputs, fast_mode=True)
    assert gradcheck(
        lambda x, o, w, m, b: ops.modulated_deform_conv2d(x, o, m, w, b, *geometry), inputs, fast_mode=True
    )


def test_deformable_convolution_in_half_precision(ops: ModuleType) -> None:
    images, weight, offset, _ = (tensor.detach().float() for tensor in problem(dict(padding=1)))
    expected = F.conv2d(images, weight, padding=1)
    half = [tensor.bfloat16().requires_grad_() for tensor in (images, offset, weight)]
    found = ops.deform_conv2d(*half, 1, 1)
    torch.testing.assert_close(found.float(), expected, atol=0.2, rtol=0.1)
    found.sum().backward()
    assert all(tensor.grad is not None for tensor in half)
