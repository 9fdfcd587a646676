"""A wheel, installed where no checkout is: the commands of the README in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.fresh_python import run_python
from tests.support.image_files import write_images

ROOT = Path(__file__).parents[1]
SOURCES = (
    'mmssl', 'configs', 'tools', 'requirements', 'build_backend.py', 'setup.py', 'pyproject.toml', 'model-index.yml',
    'MANIFEST.in', 'README.md', 'LICENSE',
)  # fmt: skip
Run = Callable[..., str]


@pytest.fixture(scope='module')
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a wheel was installed into."""
    tree, folder = tmp_path_factory.mktemp('tree'), tmp_path_factory.mktemp('wheel')
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(ROOT / name, tree / name)
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '-q']
    options = ['--no-deps', '--no-build-isolation', '--no-index', '-w', str(folder)]
    environment = dict(os.environ, MMSSL_STACK='maintained')
    subprocess.run([*pip, 'wheel', str(tree), *options], check=True, env=environment)
    (wheel,) = folder.glob('*.whl')
    subprocess.run([*pip, 'install', '--no-deps', '--target', str(folder / 'site'), str(wheel)], check=True)
    return folder / 'site'


@pytest.fixture(scope='module')
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but photos."""
    folder = tmp_path_factory.mktemp('empty')
    write_images(folder / 'photos', [f'{kind}/{number}.png' for kind in ('cat', 'dog') for number in range(8)])
    return folder


@pytest.fixture(scope='module')
def run(installed: Path, empty: Path) -> Run:
    """A function that runs a command line in the empty folder and returns what it printed."""

    def call(command: str, *more: str) -> str:
        environment = dict(os.environ, PYTHONPATH=str(installed), OMP_NUM_THREADS='1')
        words = [str(installed / 'bin' / 'mmssl'), *command.split()[1:]] if command.startswith('mmssl ') else [command]
        finished = run_python(*(word.strip("'") for word in words), *more, cwd=empty, env=environment, timeout=300)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    return call


def readme(word: str) -> str:
    """The command of the README that begins with ``mmssl`` and the word."""
    return re.search(rf'^    (mmssl {word} .*?)(?:  #.*)?$', (ROOT / 'README.md').read_text(), re.MULTILINE)[1]


def test_a_wheel_in_an_empty_folder(run: Run, empty: Path) -> None:
    """Recipes, training, features, a classifier on the backbone, prediction."""
    assert 'simclr_photos' in run(readme('recipes')).split()
    small = ('--no-validate', '--cfg-options', 'train_dataloader.num_workers=0', 'train_dataloader.batch_size=4')
    run(readme('train'), *small, 'train_dataloader.persistent_workers=False', 'max_epochs=1')
    trained = empty / 'runs' / 'photos' / 'epoch_1.pth'
    assert (empty / 'runs' / 'photos' / 'epoch_1_backbone.pth').is_file()
    cfg = torch.load(trained, weights_only=False)['meta']['cfg']
    assert str(ROOT) not in cfg and 'ClassFolder' in cfg

    run(readme('features').replace('epoch_12', 'epoch_1'))
    assert np.load(empty / 'features.npz')['vectors'].shape == (16, 128)

    recipe = 'finetune_resnet18_1xb128-50e_cifar10'
    shape = ('model.backbone.width=0.5', 'model.backbone.out_indices=[2]', 'model.head.in_channels=128')
    shape = (*shape, 'model.head.num_classes=2')
    options = (*small, 'train_dataloader.persistent_workers=False', 'max_epochs=1', 'param_scheduler.warmup_epochs=0')
    run(f'mmssl train {recipe} --pretrained {trained} --images photos/ --work-dir runs/cats', *options, *shape)
    classifier = readme('predict').replace('CONFIG', recipe).replace('CHECKPOINT', 'runs/cats/epoch_1.pth')
    assert 'photos/cat/0.png: ' in run(classifier, '--cfg-options', *shape)
    assert len(list((empty / 'predictions').glob('*.jpg'))) == 16

    if find_spec('onnxscript') is not None:
        assert 'onnxruntime.InferenceSession' in run(readme('convert').replace('epoch_12', 'epoch_1'))


def test_the_command_lists_its_commands_without_torch(installed: Path, empty: Path) -> None:
    code = 'import sys; sys.argv = ["mmssl", "--help"]; from mmssl.__main__ import main; main()'
    code += '; assert not {"torch", "mmengine", "numpy"} & set(sys.modules)'
    environment = dict(os.environ, PYTHONPATH=str(installed))
    finished = subprocess.run([sys.executable, '-c', code], cwd=empty, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    for command in ('train', 'test', 'features', 'predict', 'convert', 'recipes', 'demo'):
        assert f'\n  {command} ' in finished.stdout


def test_recipes_are_bases_and_tools_are_where_mim_looks(run: Run, installed: Path, empty: Path) -> None:
    for name in ('configs/simclr/metafile.yml', 'model-index.yml', 'tools/train.py', 'tools/dist_train.sh'):
        assert (installed / 'mmssl' / '.mim' / name).is_file()
    (empty / 'heir.py').write_text("_base_ = 'mmssl::simclr/simclr_resnet18_1xb512-200e_cifar10.py'\nmax_epochs = 7\n")
    code = "import mmssl; cfg = mmssl.get_recipe('heir.py'); print(cfg.max_epochs, cfg.model.type, mmssl.__file__)"
    assert run('-c', code).split() == ['7', 'SimCLR', str(installed / 'mmssl' / '__init__.py')]
