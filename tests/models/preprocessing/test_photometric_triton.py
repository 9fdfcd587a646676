"""Colours by one Triton kernel: the pixels of torch's operations in Triton's interpreter, its passes, its switch."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mmssl.datasets.transforms.photometric_program import CODES, OPERATIONS
from mmssl.models.preprocessing import photometric, photometric_triton
from mmssl.models.preprocessing.photometric_plan import Step, without_gaps
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from tests.models.preprocessing.test_photometric import DINO, REFERENCES, SIMCLR, drawn_programs, images

with_triton = pytest.mark.skipif(find_spec('triton') is None, reason='Triton is not installed')
TOLERANCE = 1e-6


def every_operation() -> Tensor:
    """Programs (20, 1, 2) of one operation each, two of every kind."""
    return torch.tensor([[[CODES[name], value]] for name, (_, values) in REFERENCES.items() for value in values[1::2]])


def random_programs(number: int) -> Tensor:
    """Programs of seven operations in random order, repeated ones and gaps included."""
    rng, programs = np.random.default_rng(0), np.zeros((number, 7, 2), dtype=np.float32)
    ranges = dict(hue=(-0.5, 0.5), blur=(0.1, 2.0), solarize=(0.2, 1.0), brightness_offset=(-0.3, 0.3))
    for index in np.ndindex(number, 7):
        code = rng.integers(len(OPERATIONS))
        programs[index] = code, rng.uniform(*ranges.get(OPERATIONS[code], (0.4, 1.6)))
    return torch.from_numpy(programs)


def compare_with_torch() -> None:
    """Compares both for every operation, random programs and those of a recipe; prints what was compared."""
    recipe = drawn_programs(8, **dict(DINO[1][0], solarize=0.5))
    for name, programs in dict(single=every_operation(), random=random_programs(8), recipe=recipe).items():
        source = images() if name == 'random' else images()[..., :20, :24]  # two blocks of pixels, or one
        batch = source.repeat(len(programs) // 4, 1, 1, 1)
        expected = photometric.run_programs(batch.clone(), programs)
        result = photometric_triton.run_programs(batch.clone(), programs)
        torch.testing.assert_close(result, expected, rtol=0, atol=TOLERANCE)
        print(name)
    nothing = photometric_triton.run_programs(batch[:2].clone(), torch.zeros(2, 3, 2))
    assert torch.equal(nothing, batch[:2])


@with_triton
def test_the_kernel_agrees_with_torch_in_tritons_interpreter() -> None:
    options = dict(cwd=Path(__file__).parents[3], env={**os.environ, 'TRITON_INTERPRET': '1'})
    code = f'from {__name__} import compare_with_torch; compare_with_torch()'
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, **options)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ['single', 'random', 'recipe']


@with_triton
def test_the_kernel_compiles_for_a_gpu_that_is_not_there(monkeypatch, tmp_path: Path) -> None:
    from triton import compile as compile_kernel
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    kernel = photometric_triton._pass_kernel
    constants = dict(NUMBERS=20, BLOCK=1024, TILES=64)
    types = dict.fromkeys(('pixels', 'operations', 'sums', 'known_sums'), '*fp32') | dict(table='*i64')
    signature = {name: 'constexpr' if name in constants else types.get(name, 'i32') for name in kernel.arg_names}
    source = ASTSource(kernel, signature, constexprs=constants)
    compiled = compile_kernel(source, target=GPUTarget('cuda', 90, 32), options=dict(enable_fp_fusion=False))
    assert '.target sm_90' in compiled.asm['ptx']


@pytest.mark.parametrize('views', [SIMCLR, DINO], ids=['SimCLR', 'DINO'])
def test_a_batch_takes_three_passes_and_one_blur(views: list[tuple[dict, int]]) -> None:
    programs = torch.cat([drawn_programs(64, seed, **view) for seed, (view, _) in enumerate(views)])
    passes = photometric_triton.plan_passes(without_gaps(programs.numpy()))
    assert sum(isinstance(step, Step) for step in passes) == 1
    assert len(passes) <= 4


def test_every_operation_of_a_program_is_in_one_pass_or_blur() -> None:
    programs = without_gaps(random_programs(32).numpy())
    done: list[list[int]] = [[] for _ in programs]
    for step in photometric_triton.plan_passes(programs):
        if isinstance(step, Step):
            for row in step.rows:
                done[row].append(CODES['blur'])
        else:
            for own, program, (first, last, *_) in zip(done, programs, step):
                own += program[first:last, 0].astype(int).tolist()
    assert done == [[int(code) for code in program[:, 0] if code] for program in programs]


def test_where_triton_fails_torch_takes_over_with_a_warning(monkeypatch) -> None:
    def fail(*_: Tensor) -> Tensor:
        raise RuntimeError('Failed to find C compiler')

    monkeypatch.setattr(photometric_triton, 'triton', object())
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch, 'zeros', lambda *sizes, device: torch.ones(sizes))
    monkeypatch.setattr(photometric_triton, 'run_programs', fail)
    with pytest.warns(UserWarning, match=r"torch's operations, because Triton fails: Failed to find C compiler"):
        assert not photometric_triton.works.__wrapped__()


class OnGpu(SelfSupDataPreprocessor):
    device = torch.device('cuda')


class WithKernel(SelfSupDataPreprocessor):
    uses_kernel = True


def test_the_preprocessor_has_a_switch(monkeypatch) -> None:
    monkeypatch.setattr(photometric_triton, 'works', lambda: True)
    assert OnGpu().uses_kernel and not OnGpu(fused=False).uses_kernel and not SelfSupDataPreprocessor().uses_kernel
    assert not OnGpu(mean=[0, 0], std=[1, 1]).uses_kernel
    calls = []
    monkeypatch.setattr(photometric_triton, 'run_programs', lambda batch, programs: calls.append(len(batch)) or batch)
    WithKernel().prepare(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), every_operation()[:4])
    assert calls == [4]


@pytest.mark.gpu
@with_triton
def test_the_kernel_on_a_gpu_agrees_with_torch_and_is_not_waited_for() -> None:
    assert photometric_triton.works()
    programs = torch.cat([random_programs(16), drawn_programs(16, **SIMCLR[0][0])])
    batch = images().repeat(8, 1, 1, 1)
    on_gpu = batch.cuda()
    photometric_triton.run_programs(on_gpu.clone(), programs)
    torch.cuda.set_sync_debug_mode('error')
    try:
        result = photometric_triton.run_programs(on_gpu, programs)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    wrong = (result.cpu() - photometric.run_programs(batch, programs)).abs() > 1e-5
    assert wrong.float().mean() < 1e-4  # rounding may decide whether a pixel is solarised
