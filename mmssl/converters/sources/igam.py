"""alvinchangw/IGAM_CVPR2020: student (``classifier``), teacher (without scope) and discriminator in one graph."""

from __future__ import annotations

from torch import Tensor

from mmssl.converters.source import Source, Tensors

_UNITS = tuple(
    (rf'unit_{stage + 1}_(\d+)\.{theirs}\.(\w+)', rf'stages.{stage}.\1.{ours}.\2')
    for stage in range(3)
    for theirs, ours in (
        (r'residual_only_activation\.BatchNorm', 'act1.bn'),
        (r'sub1\.conv1', 'conv1'),
        (r'sub2\.BatchNorm', 'act2.bn'),
        (r'sub2\.conv2', 'conv2'),
    )
)
_NETWORK = (
    (r'input\.init_conv\.(\w+)', r'stem.conv.\1'),
    (r'unit_1_0\.shared_activation\.BatchNorm\.(\w+)', r'stem.bn.\1'),
    *_UNITS,
    (r'unit_last\.BatchNorm\.(\w+)', r'stages.2.bn.\1'),
)
_LEAVES = {
    'DW': 'weight', 'biases': 'bias', 'gamma': 'weight', 'beta': 'bias',
    'moving_mean': 'running_mean', 'moving_variance': 'running_var',
}  # fmt: skip


def _prepare(tensors: Tensors) -> dict[str, Tensor]:
    """Converts TensorFlow's names and layouts to torch's, and reorders the inputs of the discriminator's last layer."""
    prepared = dict(map(_from_tensorflow, tensors.items()))
    last = max((name for name in prepared if name.startswith('discriminator.conv')), default=None)
    columns = prepared.get('discriminator.logit.weight')
    if last is not None and columns is not None:  # (row, column, channel) -> (channel, row, column)
        channels = len(prepared[last])
        prepared['discriminator.logit.weight'] = columns.unflatten(1, (-1, channels)).mT.flatten(1)
    return prepared


def _from_tensorflow(item: tuple[str, Tensor]) -> tuple[str, Tensor]:
    name, tensor = item
    if '/' not in name:
        return name, tensor
    *scopes, leaf = name.split('/')
    if leaf == 'DW':
        tensor = tensor.permute(3, 2, 0, 1).contiguous() if tensor.ndim == 4 else tensor.T.contiguous()
    scope = () if scopes[0] in ('classifier', 'discriminator') else ('teacher',)
    return '.'.join((*scope, *scopes, _LEAVES.get(leaf, leaf))), tensor


SOURCE = Source(
    patterns=(
        *((rf'classifier\.{theirs}', f'backbone.network.{ours}') for theirs, ours in _NETWORK),
        *((rf'teacher\.{theirs}', f'teacher.backbone.network.{ours}') for theirs, ours in _NETWORK),
        (r'classifier\.logit\.(\w+)', r'head.fc.\1'),
        (r'teacher\.target_task_logit\.(\w+)', r'teacher.head.fc.\1'),
        (r'teacher\.logit\.(\w+)', None),  # classifier of the task on which the teacher was trained
        (r'discriminator\.conv(\d)\.(\w+)', r'discriminator.convs.\1.\2'),
        (r'discriminator\.BatchNorm\.(\w+)', r'discriminator.norms.0.\1'),
        (r'discriminator\.BatchNorm_(\d)\.(\w+)', r'discriminator.norms.\1.\2'),
        (r'discriminator\.logit\.(\w+)', r'discriminator.fc.\1'),
    ),
    prepare=_prepare,
)
