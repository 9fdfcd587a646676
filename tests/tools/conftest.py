"""A config small enough to train in a second, and the assertion that a tool ended as mistakes do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger
from PIL import Image

_NUMBERS = itertools.count()

_CONFIG = """
model = dict(
    type='SimCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small', width=0.125),
    neck=dict(type='MLPProjector', in_channels=64, hidden_channels=32, out_channels=16),
    head=dict(type='NTXentLoss', temperature=0.5),
)
max_epochs = 2
_loader = dict(
    batch_size=4, num_workers=0, collate_fn=dict(type='collate_views'), sampler=dict(type='EpochSampler', shuffle=False)
)
_evaluated = dict(
    **_loader,
    dataset=dict(
        type='ImageFolder', data_root='{images}', transform=dict(type='CenterCropView', resize=32, size=32)
    ),
)
train_dataloader = dict(
    **_loader,
    drop_last=True,
    dataset=dict(type='ImageFolder', data_root='{images}', views=[dict(type='AugmentedView', size=16)] * 2),
)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
param_scheduler = dict(type='WarmupCosineLR')
auto_scale_lr = dict(base_batch_size=8)
val_dataloader = _evaluated
val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=_evaluated)
val_evaluator = dict(type='EmbeddingEvaluator', metrics=[dict(type='EmbeddingStatistics')])
default_hooks = dict(logger=dict(type='LoggerHook', interval=1))
"""


@pytest.fixture(scope='session', autouse=True)
def _logger() -> None:
    """Makes MMEngine's logger before a test captures the output, to a stream that is closed when that test ends."""
    MMLogger.get_current_instance()


@pytest.fixture(scope='session')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of eight images."""
    folder = tmp_path_factory.mktemp('images')
    for index in range(8):
        pixels = np.random.default_rng(index).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f'{index}.png')
    return folder


@pytest.fixture
def write_config(tmp_path: Path, images: Path) -> Callable[..., Path]:
    """A function that writes the small config, with pieces of text replaced and text appended."""

    def write(*replacements: tuple[str, str], append: str = '') -> Path:
        text = _CONFIG.replace('{images}', str(images))
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / f'small_{next(_NUMBERS)}.py'  # MMEngine names loggers by file and second
        path.write_text(text + append)
        return path

    return write


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A function that calls a tool, asserts that it ends as a mistake does, and returns its message."""

    def call(main: Callable, *argv: object) -> str:
        # The logger of a test before writes to a stream that is closed.
        MMLogger.get_instance(f'fails_{next(_NUMBERS)}')
        with pytest.raises(SystemExit) as exit_:
            main([str(arg) for arg in argv])
        message = capsys.readouterr().err
        assert exit_.value.code == 2
        assert 'Traceback' not in message and message.count('error: ') == 1
        return message

    return call
