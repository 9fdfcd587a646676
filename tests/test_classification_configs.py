"""Every recipe of probing and fine-tuning: what it says, what it builds, which parameters move and how fast."""

from __future__ import annotations

import argparse
import ast
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmssl.checkpoints.matching import load_matching
from mmssl.cli.options import CfgOptions
from mmssl.config.check import check_config
from mmssl.config.load import load_config
from mmssl.registry import BACKBONES, COMPONENTS, TRANSFORMS
from tests.support.recipes import loaded
from tests.support.shrink import BATCH_SIZE, IMAGE_SIZE, shrink
from tests.support.undrawn import Undrawn
from tests.test_configs import ROOT, build, optimizer, rates

FOLDER = ROOT / 'configs' / 'benchmarks' / 'classification'
RECIPES = sorted(FOLDER.glob('*.py'))
NAME = re.compile(
    r'(?P<protocol>linear|finetune|semi)_(?P<backbone>[a-z0-9-]+)_(?P<gpus>\d+)xb(?P<batch>\d+)-(?P<epochs>\d+)e_'
    r'(?P<data>in1k-10p|in1k-1p|in1k|cifar10)(_(?P<source>[a-z0-9-]+))?'
)
NUM_CLASSES = 10

recipes = pytest.mark.parametrize('path', RECIPES, ids=[path.stem for path in RECIPES])


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmssl')


def small(path: Path) -> Config:
    cfg = shrink(loaded(path))
    width = BACKBONES.build(cfg.model.backbone).feature_dim * len(cfg.model.neck.get('parts', [1]))
    cfg.model.head.update(in_channels=width, num_classes=NUM_CLASSES)
    if cfg.model.get('mix'):
        cfg.model.mix.num_classes = NUM_CLASSES
    return cfg


@recipes
def test_recipe_is_valid(path: Path) -> None:
    check_config(loaded(path), data=False)


@recipes
def test_docstring_gives_command_protocol_and_published_number(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    gpus = int(NAME.fullmatch(path.stem)['gpus'])
    tool, share = ('python tools/train.py', '') if gpus == 1 else ('tools/dist_train.sh', f' {gpus}')
    command = f'{tool} {path.relative_to(ROOT)}{share} \\\n        --pretrained CHECKPOINT'
    assert command in path.read_text().replace('\\\\', '\\')
    assert re.search(r'^Protocol: \S', docstring, re.M)
    published = re.search(r'^Published: (.*?)(\n\w+:|\Z)', docstring, re.M | re.S)[1]
    assert re.search(r'\d %.*\(official', published, re.S) or published.startswith('no figure')


@recipes
def test_options_in_docstring_work(path: Path) -> None:
    for line in re.findall(r'--cfg-options (.*)', path.read_text().replace('\\\n', ' ')):
        options = dict(option.split('=', 1) for option in line.split())
        cfg = load_config(path, {key: ast.literal_eval(value) for key, value in options.items()})
        check_config(cfg, data=False)
        with torch.device('meta'), Undrawn():
            model = build(cfg)
        assert model.backbone.feature_dim == model.head.fc.in_features


@recipes
def test_name_says_what_is_inside(path: Path) -> None:
    cfg, name = loaded(path), NAME.fullmatch(path.stem)
    assert cfg.train_dataloader.batch_size == int(name['batch'])
    assert cfg.auto_scale_lr.base_batch_size == int(name['gpus']) * int(name['batch'])
    assert cfg.max_epochs == int(name['epochs'])
    assert bool(cfg.model.get('frozen')) == (name['protocol'] == 'linear')
    assert ('subset' in cfg.train_dataloader.dataset) == (name['protocol'] == 'semi')
    depth = cfg.model.backbone.get('depth')
    if cfg.model.backbone.type == 'ResNet':
        assert name['backbone'] == f'resnet{depth}'


@recipes
def test_full_model_has_matching_widths_and_classes(path: Path) -> None:
    cfg = loaded(path)
    with torch.device('meta'), Undrawn():
        model = build(cfg)
    num_classes = 10 if path.stem.endswith('cifar10') else 1000
    width = model.backbone.feature_dim * len(cfg.model.neck.get('parts', [1]))
    assert model.head.fc.out_features == num_classes and model.head.fc.in_features == width
    if cfg.model.get('mix'):
        assert cfg.model.mix.num_classes == num_classes
        COMPONENTS.build(cfg.model.mix)


@recipes
def test_views(path: Path) -> None:
    cfg = loaded(path)
    (view,) = cfg.train_dataloader.dataset.views
    size = 32 if path.stem.endswith('cifar10') else 192 if '_swin-' in path.stem else 224
    plain = TRANSFORMS.build(cfg.val_dataloader.dataset.transform)
    assert TRANSFORMS.build(view).size == plain.size == size
    if view.type == 'AugmentedView':
        assert set(view) <= {'type', 'size', 'interpolation', 'min_scale', 'crop'}  # a crop and a flip, nothing else
        assert plain.interpolation == view.get('interpolation', 'bilinear') or path.stem.endswith('dino')
    else:
        assert view.erase == 0.25
        assert view.get('rand_augment') == 'rand-m9-mstd0.5-inc1'


@recipes
def test_small_model_takes_a_step_that_moves_what_may_move(path: Path) -> None:
    cfg = small(path)
    model = build(cfg)
    model.init_weights()
    model.train().on_train_start()
    optim = optimizer(cfg, model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    labels = torch.arange(BATCH_SIZE) % NUM_CLASSES
    for _ in range(2):  # a classifier that begins at zero gives its features no gradient in the first step
        optim.zero_grad()
        model.loss([torch.randn(BATCH_SIZE, 3, IMAGE_SIZE, IMAGE_SIZE)], dict(label=labels))['loss'].backward()
        optim.step()
        model.on_step_end(0.5)
    held = {id(param) for group in optim.param_groups for param in group['params']}
    frozen = cfg.model.get('frozen', False)
    for name, param in model.named_parameters():
        assert (param.grad is not None) == param.requires_grad == (id(param) in held), name
        fixed = frozen or (name == 'backbone.pos_embed' and cfg.model.backbone.type == 'CAEViT')
        assert param.requires_grad == (name.startswith('head.') or not fixed), name
    for name, value in model.state_dict().items():
        if frozen and not name.startswith('head.'):
            assert torch.equal(value, before[name]), name
    assert not torch.equal(model.head.fc.weight, before['head.fc.weight'])


@recipes
def test_the_backbone_of_the_pre_trained_model_loads_whole(path: Path) -> None:
    """A final norm that fine-tuning has no place for is passed over; relative positions may begin in fine-tuning."""
    cfg = small(path)
    model = build(cfg)
    pretrained = dict(cfg.model.backbone)
    for key in ('final_norm', 'drop_path_rate', 'relative_table'):
        pretrained.pop(key, None)
    if path.stem.endswith(('pixel', 'hivit')):
        pretrained.pop('position')
    state = {f'backbone.{name}': value for name, value in BACKBONES.build(pretrained).state_dict().items()}
    load_matching(model.backbone, state, 'memory', min_match=1.0)
    loaded = {name: value for name, value in model.backbone.state_dict().items() if not name.endswith('bias_table')}
    assert all(torch.equal(value, state[f'backbone.{name}']) for name, value in loaded.items())


# (epoch, learning rates of the parameter groups); where the schedule moves by iteration, of an epoch's first one.
SCHEDULES = {
    'linear_resnet50_8xb32-100e_in1k_moco': [(0, 30.0), (59, 30.0), (60, 3.0), (79, 3.0), (80, 0.3)],
    'linear_resnet50_8xb128-90e_in1k_mocov3': [(0, 0.4), (45, 0.2)],
    'linear_vit-base_8xb128-90e_in1k_mocov3': [(0, 12.0), (45, 6.0)],
    'linear_resnet50_8xb32-80e_in1k_care': [(0, 0.2), (40, 0.1)],
    'linear_vit-base_32xb512-90e_in1k_mae': [(0, 0.0), (5, 3.2), (10, 6.4), (50, 3.2)],
    'linear_vit-large_32xb512-50e_in1k_mae': [(10, 6.4), (30, 3.2)],
    'linear_vit-base_16xb512-90e_in1k_cae-attentive': [(0, 0.0), (10, 0.4), (50, 0.2000005)],
    'linear_resnet50_8xb32-100e_in1k_swav': [(0, 0.3), (50, 0.15)],
    'semi_resnet50_8xb32-20e_in1k-1p_swav': [(0, [0.02, 5.0]), (12, [0.004, 1.0]), (16, [0.0008, 0.2])],
    'semi_resnet50_8xb32-20e_in1k-1p_barlowtwins': [(0, [0.005, 0.5]), (10, [0.0025, 0.25])],
    'semi_resnet50_8xb32-20e_in1k-1p_vicreg': [(0, [0.03, 0.08]), (10, [0.015, 0.04])],
    'semi_resnet50_8xb32-20e_in1k-10p_vicreg': [(0, [0.01, 0.1]), (10, [0.005, 0.05])],
    'linear_vit-base_8xb128-100e_in1k_dino': [(0, 0.004), (50, 0.002)],
    'semi_resnet50_8xb32-20e_in1k-10p_swav': [(0, [0.01, 0.2]), (12, [0.002, 0.04]), (16, [0.0004, 0.008])],
    'finetune_resnet50_8xb32-105e_in1k_vissl': [
        *((0, 0.1), (30, 1e-2), (60, 1e-3), (90, 1e-4), (100, 1e-5)),
    ],
}


@pytest.mark.parametrize('stem', SCHEDULES)
def test_learning_rate(stem: str) -> None:
    epochs, expected = zip(*SCHEDULES[stem])
    for values, value in zip(rates(loaded(FOLDER / f'{stem}.py'), list(epochs)), expected):
        assert values == pytest.approx(value if isinstance(value, list) else [value], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ('stem', 'decay', 'layers'),
    [
        ('finetune_vit-base_32xb32-100e_in1k_mae', 0.65, 14),
        ('finetune_vit-large_32xb32-50e_in1k_mae', 0.75, 26),
        ('finetune_vit-huge_32xb32-50e_in1k_mae', 0.75, 34),
        ('finetune_hivit-base_16xb64-100e_in1k_hivit', 0.85, 30),
        ('finetune_vit-base_16xb64-100e_in1k_beit', 0.65, 14),
        ('finetune_vit-large_64xb64-50e_in1k_cae', 0.75, 26),
        ('finetune_swin-base_16xb128-100e_in1k_simmim', 0.9, 26),
        ('finetune_itpn-base_32xb32-100e_in1k_itpn-pixel', 0.807173, 32),
        ('finetune_itpn-large_32xb32-50e_in1k_itpn-pixel', 0.841383, 46),
    ],
)
def test_layer_decay(stem: str, decay: float, layers: int) -> None:
    cfg = loaded(FOLDER / f'{stem}.py')
    with torch.device('meta'):
        groups = optimizer(cfg, build(cfg)).param_groups
    lr = cfg.optim_wrapper.optimizer.lr
    scales = sorted({group['lr'] / lr for group in groups}, reverse=True)
    assert scales == pytest.approx([decay**depth for depth in range(layers)], rel=1e-4)
    assert {group['weight_decay'] for group in groups} == {0.0, 0.05}


# Official classifiers, with heads of 1000 classes.
COUNTS = {
    'finetune_vit-base_32xb32-100e_in1k_mae': 86_567_656,
    'finetune_hivit-base_16xb64-100e_in1k_hivit': 66_418_952,
    'finetune_swin-base_16xb128-100e_in1k_simmim': 87_750_176,
    'finetune_itpn-base_64xb32-100e_in1k_itpn-clip': 78_583_720,
    'finetune_itpn-large_64xb16-50e_in1k_itpn-clip': 288_556_168,
}


@pytest.mark.parametrize('stem', COUNTS)
def test_parameter_counts(stem: str) -> None:
    with torch.device('meta'):
        model = build(loaded(FOLDER / f'{stem}.py'))
    assert sum(param.numel() for param in model.parameters() if param.requires_grad) == COUNTS[stem]


def test_lowest_scales_of_the_base_model() -> None:
    cfg = loaded(FOLDER / 'finetune_vit-base_32xb32-100e_in1k_mae.py')
    with torch.device('meta'):
        model = build(cfg)
        groups = optimizer(cfg, model).param_groups
    scale = {id(param): group['lr'] / 2e-3 for group in groups for param in group['params']}
    backbone = model.backbone
    expected = [
        (backbone.pos_embed, 0.003697),
        (backbone.patch_embed.proj.weight, 0.003697),
        (backbone.blocks[0].mlp.fc1.weight, 0.005688),
        (backbone.blocks[11].mlp.fc1.weight, 0.65),
        (model.head.norm.weight, 1.0),
        (model.head.fc.weight, 1.0),
    ]
    for param, value in expected:
        assert scale[id(param)] == pytest.approx(value, abs=5e-7)


@pytest.mark.parametrize(
    ('stem', 'std'),
    [
        ('1p_barlowtwins', 0.01),
        ('1p_vicreg', 0.01),
        ('10p_vicreg', 0.01),
        ('1p_swav', None),
        ('10p_swav', None),
    ],
)
def test_classifier_of_few_labels_begins_as_in_the_official_code(stem: str, std: float | None) -> None:
    """SwAV's is an ``nn.Linear`` as PyTorch builds it; the others draw the weights and set the bias to 0."""
    head = build(loaded(FOLDER / f'semi_resnet50_8xb32-20e_in1k-{stem}.py')).head.fc
    bound = head.in_features**-0.5
    if std is None:
        assert 0.9 * bound < head.weight.abs().max() <= bound and 0 < head.bias.abs().max() <= bound
    else:
        assert head.weight.std().item() == pytest.approx(std, rel=0.02) and not head.bias.any()


def test_simsiam_probes_with_larc() -> None:
    """The docstring says so; LARS differs from it by the small number that LARC adds to the denominator."""
    optimizer_ = loaded(FOLDER / 'linear_resnet50_8xb512-90e_in1k_simsiam.py').optim_wrapper.optimizer
    assert (optimizer_.type, optimizer_.lr, optimizer_.ratio, optimizer_.excluded) == ('LARS', 1.6, 'larc', False)


def test_average_of_the_documentation() -> None:
    (options,) = re.findall(
        r'`--cfg-options (model\.average[^`]+)`', (ROOT / 'docs' / 'howto' / 'evaluation.md').read_text()
    )
    path = FOLDER / 'finetune_vit-tiny_1xb256-50e_cifar10.py'
    parser = argparse.ArgumentParser()
    parser.add_argument('--options', nargs='+', action=CfgOptions)
    cfg = load_config(path, parser.parse_args(['--options', *options.split()]).options)
    check_config(cfg, data=False)
    assert build(cfg).average.momentum == 0.9999


def test_card_lists_every_recipe_and_nothing_else() -> None:
    linked = {Path(name).stem for name in re.findall(r'\]\(([^)]+\.py)\)', (FOLDER / 'README.md').read_text())}
    assert linked == {path.stem for path in RECIPES}


def test_names_in_prose_exist() -> None:
    stems = {path.stem for path in RECIPES}
    for page in [FOLDER / 'README.md', ROOT / 'docs' / 'howto' / 'evaluation.md']:
        named = {match[0] for match in NAME.finditer(page.read_text())}
        assert named <= stems, page
