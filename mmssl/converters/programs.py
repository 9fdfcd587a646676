"""Backbones as programs that run without mmssl: ONNX and ``torch.export``, for batches of any size."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from mmssl.models.layers.adder2d import adder2d_of_plain_operations
from mmssl.utils.errors import UserError

PROGRAMS = {'onnx': '.onnx', 'torch-export': '.pt2'}  # name -> ending of its file
TOLERANCE = 1e-4
_USAGE = {
    'onnx': """import onnxruntime

session = onnxruntime.InferenceSession({file!r})
outputs = session.run(None, dict(images=images))  # images: float32 (N, {channels}, {size}, {size}), normalised""",
    'torch-export': """import torch

backbone = torch.export.load({file!r}).module()
outputs = backbone(images)  # images: float32 (N, {channels}, {size}, {size}), normalised""",
}


def write_program(backbone: nn.Module, out: str | Path, to: str, size: int, channels: int = 3) -> str:
    """Writes a backbone as a program, runs the program on three images, and compares its outputs.

    Args:
        backbone: Backbone on the CPU: normalised images (N, C, size, size) float32 -> a tensor or a tuple of tensors.
        out: File to write, with the ending in ``PROGRAMS``.
        to: Format: ``'onnx'`` or ``'torch-export'``.
        size: Side of the images in pixels, which is fixed; the number of images is free.
        channels: Number C of channels of the images.

    Returns:
        Code that runs the program.

    Raises:
        UserError: The ending is wrong, a package is missing, the backbone does not accept such images or cannot be
            exported, or the outputs of the program differ by 1e-4 of the largest value or more; its file is removed.
    """
    out = Path(out)
    if out.suffix != PROGRAMS[to]:
        raise UserError(f'{to} writes a file that ends in {PROGRAMS[to]}, got {str(out)!r}')
    if to == 'onnx' and (missing := [name for name in ('onnx', 'onnxscript') if find_spec(name) is None]):
        raise UserError(f'ONNX needs {" and ".join(missing)}: pip install onnx onnxscript onnxruntime')
    backbone.eval()
    exported = export_program(backbone, size, channels)
    images = torch.randn(3, channels, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = backbone(images)
    out.parent.mkdir(parents=True, exist_ok=True)
    if to == 'onnx':
        _write_onnx(exported, out, 1 if isinstance(expected, Tensor) else len(expected))
    else:
        torch.export.save(exported.run_decompositions({}), out)
    try:
        found = _run_onnx(out, images) if to == 'onnx' else _run_exported(out, images)
        if found is None:
            print_log(f'{out} was not compared with the backbone: pip install onnxruntime', logger='current', level=30)
        else:
            _compare(_as_list(expected), _as_list(found), out)
    except BaseException:
        for written in (out, Path(f'{out}.data')):  # ONNX keeps large weights in a file of their own
            written.unlink(missing_ok=True)
        raise
    return _USAGE[to].format(file=str(out), size=size, channels=channels)


def export_program(backbone: nn.Module, size: int, channels: int = 3) -> ExportedProgram:
    """Exports a backbone for batches of any size, and replaces operators of mmssl by plain operators.

    Args:
        backbone: Backbone on the CPU, see ``write_program``.
        size: Side of the images in pixels, see ``write_program``.
        channels: Number of channels of the images.

    Raises:
        UserError: The backbone does not accept such images, or its operations depend on their values or number.
    """
    images = torch.zeros(2, channels, size, size)
    name = type(backbone).__name__
    try:
        with torch.no_grad():
            backbone(images)
    except (RuntimeError, ValueError) as error:
        raise UserError(f'{name} does not take images of {size} pixels ({error}): name another size') from error
    try:
        exported = torch.export.export(backbone, (images,), dynamic_shapes=({0: Dim('batch')},))
    except Exception as error:  # torch.export raises many classes of errors
        reason = str(error).strip().partition('\n')[0]
        raise UserError(f'{name} cannot be exported: {type(error).__name__}: {reason}') from error
    own = torch.ops.mmssl.adder2d.default
    graphs = [module.graph for module in exported.graph_module.modules() if isinstance(module, GraphModule)]
    if all(node.target is not own for graph in graphs for node in graph.nodes):
        return exported  # tracing a backbone again takes as long as its export
    return exported.run_decompositions({own: adder2d_of_plain_operations})


def _write_onnx(exported: ExportedProgram, out: Path, num_outputs: int) -> None:
    names = [f'output_{index}' for index in range(num_outputs)]
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # the converter warns about every missing optional package
    try:
        program = torch.onnx.export(exported, dynamo=True, input_names=['images'], output_names=names, verbose=False)
    finally:
        logging.disable(before)
    assert program is not None, 'dynamo=True returns a program'
    program.save(out)


def _run_onnx(file: Path, images: Tensor) -> list[Tensor] | None:
    """Returns the outputs of the program; None if onnxruntime is not installed."""
    if find_spec('onnxruntime') is None:
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    return [torch.from_numpy(output) for output in session.run(None, dict(images=images.numpy()))]


def _run_exported(file: Path, images: Tensor) -> Any:
    with torch.no_grad():
        return torch.export.load(file).module()(images)


def _as_list(outputs: Any) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def _compare(expected: Sequence[Tensor], found: Sequence[Tensor], out: Path) -> None:
    for index, (one, other) in enumerate(zip(expected, found, strict=True)):
        difference = (one - other).abs().max().item() / max(1.0, one.abs().max().item())
        if not difference < TOLERANCE:
            raise UserError(f'output {index} of {out} differs from the output of the backbone by {difference:.1e}')
