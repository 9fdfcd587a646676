"""The demo: its recipes, a whole run on a small folder, and what it makes of folders."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image

from mmssl.checkpoints.content import digest
from mmssl.config.check import check_config
from mmssl.config.load import load_config
from mmssl.demo import precision
from mmssl.demo import run as demo
from mmssl.demo.report import Representation, accuracy_text, words_section
from mmssl.engine.stages import read_stages
from mmssl.evaluation.embedding_statistics import EmbeddingStatistics
from mmssl.evaluation.extract import Features
from mmssl.evaluation.linear_probe import LinearProbe
from mmssl.evaluation.weighted_knn import WeightedKNN
from mmssl.models.algorithms.labelled import with_placeholder_labels
from mmssl.registry import ALGORITHMS, LABELLERS
from mmssl.utils.errors import UserError
from mmssl.visualization.masks import mask_figure
from mmssl.visualization.reconstruction import reconstruction_figure
from tests.support.small_parts import half_masks, shared_crops
from tests.support.tools import load_tool

RECIPES = sorted((Path(__file__).parents[2] / 'configs' / 'demo').glob('*_photos.py'))
CIFAR10 = sorted(RECIPES[0].parents[1].glob('*/*_resnet18-half_1xb512-12e_cifar10.py'))

tool = load_tool('demo.py')


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of sixteen images: noise around a red, a green and a blue."""
    root = tmp_path_factory.mktemp('classes')
    rng = np.random.default_rng(0)
    for channel, name in enumerate(('blue', 'green', 'red')):
        (root / name).mkdir()
        for number in range(16):
            pixels = rng.integers(0, 120, (24, 40, 3), dtype=np.uint8)
            pixels[..., 2 - channel] += 130
            Image.fromarray(pixels).save(root / name / f'{number}.png')
    return root


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_recipe_is_valid_reaches_every_parameter_and_can_be_drawn(path: Path) -> None:
    cfg = load_config(path)
    init_default_scope('mmssl')
    check_config(cfg)
    model = ALGORITHMS.build(cfg.model)
    model.on_train_start()
    sizes = [
        view.size
        if {'masker', 'windows'} & cfg.model.keys()
        or 'TileView' in view.type
        or cfg.model.type in ('ContextEncoder', 'AMDIM')
        else 8
        for view in cfg.train_dataloader.dataset.views
    ]
    batch_size = cfg.model.get('norm_group_size') or 16
    views = [torch.randn(batch_size, 3, size, size) for size in sizes]
    samples = dict(
        label=torch.zeros(batch_size, dtype=torch.int64),
        index=torch.arange(batch_size),
        crops=shared_crops(batch_size),
        masks=half_masks(batch_size, sizes[0]),
    )
    samples = with_placeholder_labels(model, samples, batch_size)
    sum(model.loss(views, samples).values()).backward()
    assert all((param.grad is not None) == param.requires_grad for param in model.parameters())
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    if hasattr(model, 'reconstruct'):  # a report that cannot be drawn would fail after the training
        assert reconstruction_figure(model, images).axes
    elif hasattr(model, 'masker'):
        assert mask_figure(model.masker, images).axes


def test_default_method_has_a_recipe_and_every_recipe_is_offered() -> None:
    methods = [path.stem.removesuffix('_photos') for path in RECIPES]
    assert 'simclr' in methods
    for method in methods:
        assert tool.parse_args(['--method', method]).method == method


def test_demo_prints_a_table_and_writes_a_report(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precision, 'NUM_PROBED', 4)
    tool.main(['--data', str(folder), '--epochs', '1', '--seed', '3', '--work-dir', str(tmp_path)])
    printed = capsys.readouterr().out
    for text in ('raw pixels', 'random initialisation', 'pre-trained', 'kNN', 'linear, 10 labels', 'fastest on this'):
        assert text in printed
    report = (tmp_path / 'report.html').read_text()
    assert report.count('data:image/png;base64,') == 4 and 'SimCLR, 1 epoch of 36 images' in report
    assert (tmp_path / 'epoch_1_backbone.pth').is_file()
    results = json.loads((tmp_path / 'result.json').read_text())
    assert list(results['scores']) == ['raw pixels', 'random initialisation', 'pre-trained']
    for scores in results['scores'].values():
        assert set(scores) == {'knn_top1', 'linear_top1', 'linear10_top1'}
        assert f'{scores["linear_top1"]:.1f}' in printed
    assert (results['epochs'], results['images'], results['seed'], results['threads']) == (1, 36, 3, 1)
    assert results['knows_labels'] is False
    backbone = torch.load(tmp_path / 'epoch_1_backbone.pth', weights_only=False)['state_dict']
    assert results['backbone_sha256'] == digest(backbone)


def test_figures_of_a_flat_folder_and_of_a_method_that_hides_patches(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, 'NUM_PROBED', 4)
    flat = tmp_path / 'flat'
    flat.mkdir()
    for number, path in enumerate(sorted(folder.glob('*/*.png'))):
        (flat / f'{number}.png').symlink_to(path)
    tool.main(['--method', 'mae', '--data', str(flat), '--epochs', '1', '--work-dir', str(tmp_path / 'run')])
    report = (tmp_path / 'run' / 'report.html').read_text()
    assert report.count('data:image/png;base64,') == 5 and '<table>' not in report
    assert '<h2>Reconstructions</h2>' in report and 'learns to fill in' in report and 'belong together' not in report


def test_a_method_of_several_trainings_has_a_row_for_each_and_the_figures_of_its_steps(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precision, 'NUM_PROBED', 4)
    monkeypatch.setattr(demo, 'report_sections', lambda runner, *args: [words_section(runner)])
    tool.main(['--method', 'bownet', '--data', str(folder), '--epochs', '1', '--work-dir', str(tmp_path)])
    printed = capsys.readouterr().out
    rows = ('raw pixels', 'random initialisation', 'after rotnet', 'pre-trained')
    assert [row for row in rows if row in printed] == list(rows)
    report = (tmp_path / 'report.html').read_text()
    assert report.count('data:image/png;base64,') == 2 and '<h2>Stage words: words</h2>' in report
    assert '<h2>Visual words</h2>' in report
    assert json.loads((tmp_path / 'result.json').read_text())['seed'] == 0
    assert 'stages: rotnet, words, bownet' in report and (tmp_path / 'bownet' / 'backbone.pth').is_file()


@pytest.mark.parametrize('path', CIFAR10, ids=lambda path: path.stem)
def test_the_recipes_of_an_hour_reach_every_parameter(path: Path) -> None:
    cfg = load_config(path)
    init_default_scope('mmssl')
    check_config(cfg, data=False)
    model = ALGORITHMS.build(cfg.model)
    model.on_train_start()
    views = [torch.randn(cfg.model.get('norm_group_size') or 8, 3, 32, 32) for _ in range(2)]
    sum(model.loss(views, {}).values()).backward()
    assert all((param.grad is not None) == param.requires_grad for param in model.parameters())
    assert model.backbone.feature_dim == 256 and cfg.max_epochs == 12


def test_small_folders_get_small_batches_and_as_many_iterations(folder: Path) -> None:
    cfg = load_config(RECIPES[-1])
    planned = copy.deepcopy(cfg)
    demo.use_folder(cfg, str(folder))
    assert cfg.train_dataloader.batch_size == 16  # at most half of 36
    before = planned.max_epochs * (7200 // planned.train_dataloader.batch_size)
    assert before <= cfg.max_epochs * (36 // 16) < before + 2
    assert cfg.val_dataloader.dataset.split == 'val' and cfg.val_cfg.bank_dataloader.dataset.split == 'train'
    assert cfg.train_dataloader.dataset.type == 'ClassFolder' and cfg.train_dataloader.dataset.views


@pytest.mark.parametrize('method', ['deepcluster', 'deepcluster-v2', 'sela', 'clusterfit'])
def test_small_folders_get_fewer_clusters(method: str, folder: Path) -> None:
    path = RECIPES[0].with_name(f'{method}_photos.py')
    cfg = load_config(path)
    configs = [stage.config for stage in read_stages(path)] if 'stages' in cfg else [cfg]
    for cfg in configs:
        demo.use_folder(cfg, str(folder))
    if method == 'clusterfit':
        rotnet, cluster, fit = configs
        assert (rotnet.model.head.num_classes, cluster.step.num_clusters, fit.model.head.num_classes) == (4, 9, 9)
        return
    labeller = cfg.custom_hooks[0].labeller
    assert cfg.model.head.num_clusters == labeller.num_clusters == 9  # a quarter of 36 images
    features = np.random.default_rng(0).normal(size=(36, 128)).astype(np.float32)
    scores = lambda rows, head: rows[:, :9]  # noqa: E731
    labels = LABELLERS.build(labeller).label(features, 0, scores).labels
    assert labels.shape == (labeller.get('num_heads', 1), 36) and set(labels.flatten().tolist()) <= set(range(9))


def test_small_folders_leave_clusters_of_patches(folder: Path) -> None:
    cfg = load_config(RECIPES[0].with_name('capi_photos.py'))
    planned = cfg.model.head.num_clusters
    demo.use_folder(cfg, str(folder))
    assert ALGORITHMS.build(cfg.model).head.clusters.out_features == planned


@pytest.mark.parametrize('method', ['mocov2', 'care', 'npid', 'interclr'])
def test_a_method_with_groups_or_a_bank_takes_a_step_of_a_small_folder(method: str, folder: Path) -> None:
    cfg = load_config(RECIPES[0].with_name(f'{method}_photos.py'))
    demo.use_folder(cfg, str(folder))
    init_default_scope('mmssl')
    model, batch = ALGORITHMS.build(cfg.model), cfg.train_dataloader.batch_size
    model.on_train_start()
    views = [torch.randn(batch, 3, 8, 8) for _ in cfg.train_dataloader.dataset.views]
    samples = with_placeholder_labels(model, dict(index=torch.arange(20, 20 + batch)), batch)
    losses = model.loss(views, samples)
    assert batch == 16 and all(value.isfinite() for value in losses.values())
    model.on_step_end(0.5)
    assert not hasattr(model, 'bank') or model.bank.features.shape == (36, 64)


def test_a_result_says_that_a_training_learned_from_labels(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, 'NUM_PROBED', 4)
    monkeypatch.setattr(demo, 'report_sections', lambda *args: [])
    tool.main(['--method', 'supervised', '--data', str(folder), '--epochs', '1', '--work-dir', str(tmp_path)])
    assert json.loads((tmp_path / 'result.json').read_text())['knows_labels'] is True


def test_a_config_of_other_images_keeps_its_epochs_and_shortens_every_warm_up(folder: Path) -> None:
    cfg = load_config('dino_vit-tiny_1xb512-200e_cifar10')
    demo.use_folder(cfg, str(folder))
    assert cfg.max_epochs == 200 and cfg.train_dataloader.batch_size == 16
    fastest = precision.Precision(None, torch.contiguous_format, 1.0, minutes_per_epoch=1.0)
    demo.set_length(cfg, fastest, demo.Length(epochs=12))
    assert cfg.max_epochs == 12
    assert [scheduler.get('warmup_epochs') for scheduler in cfg.param_scheduler] == [3.0, None]
    deepcluster = load_config('deepcluster_resnet18_1xb256-200e_cifar10')
    scheduler = copy.deepcopy(deepcluster.param_scheduler)
    demo.set_length(deepcluster, fastest, demo.Length(epochs=12))
    assert deepcluster.param_scheduler == scheduler, 'it has no warm-up'


def test_a_recipe_takes_the_place_of_a_demo(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precision, 'NUM_PROBED', 4)
    recipe = tmp_path / 'mine.py'
    recipe.write_text(f"""_base_ = {str(CIFAR10[-1].parents[1] / 'simclr/simclr_resnet18_1xb512-200e_cifar10.py')!r}
model = dict(backbone=dict(width=0.125), neck=dict(in_channels=64, hidden_channels=64))
""")
    tool.main(['--method', str(recipe), '--data', str(folder), '--epochs', '1', '--work-dir', str(tmp_path / 'run')])
    results = json.loads((tmp_path / 'run' / 'result.json').read_text())
    assert results['epochs'] == 1 and list(results['scores'])[-1] == 'pre-trained'
    for method, message in (
        ('simcler', "no demo and no recipe 'simcler'; did you mean 'simclr'"),
        ('nowhere/simclr.py', "'nowhere/simclr.py' does not exist"),
        ('addernet_resnet20_1xb256-400e_cifar10', 'does not evaluate frozen features'),
    ):
        capsys.readouterr()
        with pytest.raises(SystemExit):
            tool.main(['--method', method])
        assert message in capsys.readouterr().err


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    with pytest.raises(UserError, match='holds 1 images; the demo needs at least 32'):
        demo.use_folder(load_config(RECIPES[0]), str(tmp_path))


def test_the_text_names_what_the_recipe_measures() -> None:
    queries = Features(torch.zeros(4, 2), torch.tensor([3, 3, 5, -1]), torch.arange(4))
    shown = Representation('pre-trained', queries, queries, {})
    text = accuracy_text([WeightedKNN(k=7), LinearProbe(), EmbeddingStatistics()], shown)
    assert text.startswith(
        'Test images classified from frozen features: 3 images, 2 classes. kNN: weighted vote of the 7'
    )
    assert 'on all training labels' in text and 'per class' not in text
    assert 'mean of 3 draws' in accuracy_text([LinearProbe(labels_per_class=10, num_draws=3)], shown)
