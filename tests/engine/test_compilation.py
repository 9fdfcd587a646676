"""Compiled and recomputed blocks: the same numbers, the same names, one compilation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torch._inductor import config as inductor

from mmssl.distributed.collectives import rank
from mmssl.engine.compilation import checkpoint_blocks, compile_blocks, find_blocks
from mmssl.engine.micro_batches import use_micro_batches
from mmssl.engine.runner import PretrainRunner
from mmssl.engine.sharding import is_sharded
from mmssl.models.components.ema_teacher import EMATeacher
from mmssl.profiling.saved_bytes import count_saved_bytes
from mmssl.registry import BACKBONES, NECKS
from mmssl.utils.errors import UserError
from tests.support.distributed import run_distributed
from tests.support.tiny_run import tiny_config, train

ARCH = dict(embed_dim=16, depth=3, num_heads=2)
VIT = dict(type='VisionTransformer', arch=ARCH, img_size=16, patch_size=8)
COMPILE = dict(target='blocks', backend='aot_eager')
_CHEAP = dict(COMPILE, backend='eager')
needs_compiler = pytest.mark.skipif(
    not (shutil.which('g++') or shutil.which('clang++')), reason='inductor needs a C++ compiler, and none is here'
)


@pytest.fixture(autouse=True)
def _forget_compiled_code() -> Iterator[None]:
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


class _Model(nn.Module):
    """A student, its teacher, and a neck whose layers are no blocks."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.backbone = BACKBONES.build(dict(VIT, **options))
        self.neck = NECKS.build(dict(type='MLPProjector', in_channels=16, hidden_channels=8, out_channels=4))
        self.teacher = EMATeacher(backbone=self.backbone)

    def forward(self, images: Tensor) -> Tensor:
        return self.neck(self.backbone(images)) - self.teacher(images)[:, :4]


def _step(model: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    torch.manual_seed(1)  # of the paths that are dropped
    loss = model(images).square().sum()
    return loss.detach(), list(torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad]))


def _models(**options: Any) -> tuple[_Model, _Model, Tensor]:
    """Two equal models and a batch."""
    first, second = _Model(**options), _Model(**options)
    second.load_state_dict(first.state_dict())
    return first, second, torch.randn(4, 3, 16, 16)


def test_blocks_are_those_of_student_and_teacher() -> None:
    names = [f'{part}blocks.{index}' for part in ('backbone.', 'teacher.backbone.') for index in range(3)]
    assert list(find_blocks(_Model())) == names


def test_the_innermost_lists_count() -> None:
    swin = BACKBONES.build(
        dict(type='TimmBackbone', name='swin_tiny_patch4_window7_224', embed_dim=8, depths=(1, 2), num_heads=(1, 1))
    )
    assert list(find_blocks(swin)) == [f'model.layers.{block}' for block in ('0.blocks.0', '1.blocks.0', '1.blocks.1')]


def test_blocks_with_batch_norm_are_left_out() -> None:
    neck = NECKS.build(dict(type='BottleneckAttention', in_channels=8, out_channels=8, hidden_channels=8))
    assert not find_blocks(neck)
    for prepare, key in ((compile_blocks, "compile='blocks'"), (checkpoint_blocks, 'checkpoint_blocks=True')):
        with pytest.raises(UserError, match=f'{key} found no blocks in BottleneckAttention'):
            prepare(neck)


def test_compiled_blocks_give_the_same_numbers_and_compile_once() -> None:
    eager, compiled, images = _models()
    keys = list(compiled.state_dict())
    assert compile_blocks(compiled, backend='aot_eager') == 6
    torch.testing.assert_close(_step(compiled, images), _step(eager, images))
    # Three equal blocks share their code: once with gradient for the student, once without for the teacher.
    assert counters['stats']['unique_graphs'] == 2
    for _ in range(2):
        _step(compiled, images + 1)
    assert counters['stats']['unique_graphs'] == 2 and not counters['graph_break']
    assert list(compiled.state_dict()) == keys


class _SmallBlocks(nn.Module):
    """Blocks of few operations, because the default backend calls the compiler of C++ for nearly each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(16, 16)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16), nn.GELU()) for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = self.embed(tokens)
        for block in self.blocks:
            tokens = tokens + block(tokens)
        return tokens


@needs_compiler
@inductor.patch({'cpp.vec_isa_ok': False})  # else it compiles programs to find out what the processor can do
def test_the_default_backend_is_as_near_to_float64_as_float32_is() -> None:
    compiled, tokens = _SmallBlocks(), torch.randn(4, 8, 16)
    exact = deepcopy(compiled).double()
    compile_blocks(compiled)
    loss, gradients = _step(compiled, tokens)
    exact_loss, exact_gradients = _step(exact, tokens.double())
    torch.testing.assert_close(loss, exact_loss.float(), rtol=1e-5, atol=1e-5)
    for gradient, expected in zip(gradients, exact_gradients, strict=True):
        assert (gradient - expected).norm() < 1e-4 * expected.norm()
    assert counters['stats']['unique_graphs'] == 1


def test_blocks_with_rates_of_their_own_are_compiled_once_each() -> None:
    eager, compiled, images = _models(drop_path_rate=0.2, arch=dict(ARCH, depth=9))
    compile_blocks(compiled, backend='eager')
    for _ in range(3):
        torch.testing.assert_close(_step(compiled, images), _step(eager, images))
    assert counters['stats']['unique_graphs'] == 18  # more than the 8 that torch allows by itself


def test_autocast_and_evaluation() -> None:
    eager, compiled, images = _models()
    compile_blocks(compiled, backend='aot_eager')
    with torch.autocast('cpu', torch.bfloat16):
        results = [_step(model, images) for model in (compiled, eager)]
    torch.testing.assert_close(*results, rtol=2e-2, atol=2e-2)
    with torch.no_grad():
        torch.testing.assert_close(compiled.eval()(images[:3]), eager.eval()(images[:3]))


@pytest.mark.parametrize('prepare', [lambda model: None, lambda model: compile_blocks(model, backend='aot_eager')])
def test_recomputed_blocks_give_the_same_gradients_from_less(prepare: Callable[[nn.Module], Any]) -> None:
    plain, recomputed, images = _models(drop_path_rate=0.5)
    assert checkpoint_blocks(recomputed) == 3
    prepare(recomputed)
    torch.testing.assert_close(_step(recomputed, images), _step(plain, images))
    assert _saved_bytes(recomputed, images) < 0.5 * _saved_bytes(plain, images)


def test_a_copy_runs_its_own_blocks() -> None:
    _, model, images = _models()
    checkpoint_blocks(model)
    use_micro_batches(model, 1)
    copy, before = deepcopy(model), model.backbone(images)
    with torch.no_grad():
        for parameter in copy.backbone.parameters():
            parameter.zero_()
    assert not copy.backbone(images).any() and torch.equal(model.backbone(images), before)


def _saved_bytes(model: nn.Module, images: Tensor) -> int:
    with count_saved_bytes(model) as saved:
        loss = model.backbone(images).sum()
    assert loss.requires_grad
    return saved.total


def _config(work_dir: Path | str, **changes: Any) -> dict:
    cfg = tiny_config(work_dir, method='byol', max_epochs=1, **changes)
    model = dict(cfg['model'], backbone=VIT, neck=dict(cfg['model']['neck'], in_channels=16))
    return dict(cfg, model=model)


def _losses(runner: PretrainRunner) -> list[float]:
    return runner.message_hub.get_scalar('train/loss').data[0].tolist()


def test_a_compiled_run_is_the_eager_run_and_resumes(tmp_path: Path) -> None:
    eager = train(_config(tmp_path / 'eager'))
    options = dict(compile=COMPILE, checkpoint_blocks=True, log_level='INFO')
    compiled = train(_config(tmp_path / 'compiled', **options))
    assert _losses(compiled) == pytest.approx(_losses(eager), rel=1e-4)
    assert 'train_step' not in vars(compiled.model)  # MMEngine's own compilation
    log = Path(compiled.log_dir, f'{compiled.timestamp}.log').read_text()
    assert '6 blocks will be compiled' in log and '3 blocks will run again' in log

    files = [torch.load(tmp_path / name / 'iter_6.pth', weights_only=False) for name in ('eager', 'compiled')]
    assert list(files[0]['state_dict']) == list(files[1]['state_dict'])
    (tmp_path / 'compiled' / 'iter_6.pth').unlink()
    resumed = train(_config(tmp_path / 'compiled', resume=True, **options))
    assert _losses(resumed) == pytest.approx(_losses(compiled)[4:])


def _train_on_two(work_dir: str, changes: dict) -> list[float]:
    torch.set_default_dtype(torch.float32)
    os.environ['LOCAL_RANK'] = str(rank())
    cfg = _config(work_dir, sync_bn=True, launcher='pytorch', **changes)
    runner = train(dict(cfg, train_dataloader=dict(cfg['train_dataloader'], batch_size=2)))
    assert is_sharded(runner.algorithm) == ('strategy' in changes)
    return _losses(runner)


@pytest.fixture(scope='module')
def losses_of_one(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """Losses of an eager run of one process."""
    return _losses(train(_config(tmp_path_factory.mktemp('one'))))


@pytest.mark.parametrize(
    'changes',
    [
        dict(compile=_CHEAP, checkpoint_blocks=True),
        dict(strategy='fsdp2', compile=COMPILE),
        dict(strategy='fsdp2', checkpoint_blocks=True),
        dict(strategy='fsdp2', compile=_CHEAP, checkpoint_blocks=True),
    ],
    ids=['ddp, both', 'fsdp2, compiled', 'fsdp2, recomputed', 'fsdp2, both'],
)
def test_two_processes_compile_and_recompute_as_one(tmp_path: Path, losses_of_one: list[float], changes: dict) -> None:
    two = run_distributed(_train_on_two, 2, str(tmp_path), changes)
    assert [sum(losses) / 2 for losses in zip(*two)][:3] == pytest.approx(losses_of_one[:3], rel=1e-3)


def test_mmengines_own_keys_pass_through(tmp_path: Path) -> None:
    train(_config(tmp_path, compile=False, activation_checkpointing=['backbone.blocks.1']))
    runner = PretrainRunner.from_cfg(_config(tmp_path, compile=dict(backend='eager')))
    runner._maybe_compile('train_step')
    assert 'train_step' in vars(runner.model)
    runner.cfg.compile = 'block'
    with pytest.raises(UserError, match="compile takes 'blocks'.*got 'block'"):
        runner._maybe_compile('train_step')
