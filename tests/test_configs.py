"""Every recipe: what it says, what it builds, what its schedule does; and the cards that list the recipes."""

from __future__ import annotations

import ast
import math
import re
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from mmssl.config.check import check_config
from mmssl.config.load import load_config
from mmssl.config.paths import missing_paths
from mmssl.engine.stages import check_stages, read_stages
from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.registry import ALGORITHMS, PARAM_SCHEDULERS
from tests.support.recipes import loaded, whole_text
from tests.support.shrink import BATCH_SIZE, shrink
from tests.support.small_parts import step_samples
from tests.support.undrawn import Undrawn

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / 'configs'
CARDS = sorted(CONFIGS.glob('*/README.md'))
RECIPES = sorted(path for card in CARDS for path in card.parent.glob('*.py'))
BASES = sorted((CONFIGS / '_base_').rglob('*.py'))
NAME = re.compile(r'(?P<method>[a-z0-9]+)_(?P<backbone>[a-z0-9-]+)_(?P<gpus>\d+)xb(?P<batch>\d+)-(?P<epochs>\d+)e_\w+')
# Without a depth, as names of recipes begin.
FAMILIES = {
    'alexnet',
    'amdim',
    'dcgan',
    'eccv16',
    'gpt',
    'convvit',
    'hivit',
    'lenet5',
    'nin',
    'swin',
    'vgg',
    'vgg16',
    'vit',
    'wideresnet10',
    'wideresnet32',
}
_SMALL = (32, 16)  # of views, and of local ones
SIZES = dict(cifar10=_SMALL, cifar100=_SMALL, photos=_SMALL, mnist=(28, 14), miniimagenet=(84, 42))
ITERATIONS = 312  # of an ImageNet epoch at batch 4096

_STEPPED: set[str] = set()  # small recipes that have taken their step
_COUNTED: dict[str, tuple[int, int]] = {}  # models whose parameters have been counted

STAGED = [path for path in RECIPES if re.search('^stages = ', whole_text(path), re.M)]

recipes = pytest.mark.parametrize('path', RECIPES, ids=[path.stem for path in RECIPES])


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmssl')


def recipe(stem: str) -> Config:
    (path,) = CONFIGS.glob(f'*/{stem}.py')
    return loaded(path)


def build(cfg: Config) -> BaseAlgorithm:
    return ALGORITHMS.build(deepcopy(cfg.model))


def optimizer(cfg: Config, model: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimizer, in full precision: half precision may need a GPU."""
    wrapper = dict(cfg.optim_wrapper, type='OptimWrapper', constructor='GroupedOptimWrapperConstructor')
    wrapper.pop('dtype', None)
    return build_optim_wrapper(model, wrapper).optimizer


@recipes
def test_recipe_is_valid(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = loaded(path)
    target = cfg.model.get('target', {})
    file = target.get('tokenizer', target).get('checkpoint')
    if file is not None:  # weights of a tokenizer or a teacher, which are a download
        weights = tmp_path / file
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.touch()
        monkeypatch.chdir(tmp_path)
    check_config(cfg, data=False)


@pytest.mark.parametrize('path', BASES, ids=[path.stem for path in BASES])
def test_base_holds_no_method(path: Path) -> None:
    cfg = Config.fromfile(path)
    assert not {'_base_', 'model', 'optim_wrapper', 'param_scheduler', 'max_epochs'} & set(cfg)
    assert '_base_' not in re.findall(r'^(\w+) *=', path.read_text(), re.M)


@recipes
def test_docstring_gives_command_cost_and_expectation(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert re.search(rf'^    .*(train\.py|dist_train\.sh) {path.relative_to(ROOT)}( \d+)?$', docstring, re.M)
    assert re.search(r'^Cost: .*\d', docstring, re.M)
    expected = re.search(r'^Expected: (.*)', docstring, re.M)[1]
    assert re.search(r'\d.*%.*\((official|released|the paper|PASSL|mmselfsup)', expected) or expected.startswith('no ')


@recipes
def test_options_in_docstring_work(path: Path) -> None:
    for line in re.findall(r'--cfg-options (.*)', path.read_text()):
        options = dict(option.split('=', 1) for option in line.split())
        options = {key: ast.literal_eval(value) for key, value in options.items()}
        cfg = load_config(path, options)
        if 'stages' in cfg:
            check_stages(stages := read_stages(path, options), stages, 'work_dirs', data=False)
            continue
        check_config(cfg, data=False)
        with torch.device('meta'), Undrawn():
            build(cfg)


@recipes
def test_name_says_what_is_inside(path: Path) -> None:
    cfg = loaded(path)
    name = NAME.fullmatch(path.stem)
    assert name['method'].startswith(path.parent.name)
    assert cfg.train_dataloader.batch_size == int(name['batch'])
    assert cfg.auto_scale_lr.base_batch_size == int(name['gpus']) * int(name['batch'])
    assert cfg.max_epochs == int(name['epochs'])
    backbone = cfg.model.backbone.get('network', cfg.model.backbone)
    depth = backbone.get('depth')
    kind = {'WideResNet': 'wideresnet', 'PreActResNet': 'preactresnet'}.get(backbone.type, 'resnet')
    assert name['backbone'].split('-')[0] == f'{kind}{depth}' if depth else name['backbone'].split('-')[0] in FAMILIES


@pytest.mark.parametrize('path', STAGED, ids=[path.stem for path in STAGED])
def test_every_stage_is_valid_and_begins_with_a_seed_of_its_own(path: Path) -> None:
    has_folder = not path.stem.endswith('_photos')  # the patches of photographs come with packages
    stages = read_stages(path, {'data_root': '/elsewhere'} if has_folder else {})
    check_stages(stages, stages, 'work_dirs', data=False)
    seeds = [s.config.randomness.seed if s.trains else s.config.step.seed for s in stages]
    assert len(set(seeds)) == len(stages)
    assert all(problem.startswith("'/elsewhere") for stage in stages for problem in missing_paths(stage.config))


@recipes
def test_training_views_and_batches(path: Path) -> None:
    cfg = loaded(path)
    loader, views = cfg.train_dataloader, cfg.train_dataloader.dataset.views
    assert loader.drop_last
    assert loader.sampler.type == ('ClusterSampler' if cfg.model.type == 'DeepCluster' else 'EpochSampler')
    small = [data for data in path.stem.split('_') if data in SIZES]  # of several, the student's is the last
    size, local = SIZES[small[-1]] if small else (224, 96)
    sizes = [view.size for view in views]
    if cfg.model.type == 'BoWNet':  # a perturbed view, and the image as it is
        assert sizes == [size, size] and views[1].type == 'CenterCropView'
    elif cfg.model.type == 'Distillation':
        assert sizes == [size]
    elif cfg.model.type in ('CAPI', 'IGPT', 'IJEPA'):
        assert sizes == [cfg.model.backbone.get('img_size', size)]
    elif cfg.model.type == 'DetCo':  # whole images, and mosaics of patches
        assert sizes == [size, size] + [192 if size == 224 else 24] * 2
        assert all(view.get('photometric', view).grayscale == 0.2 for view in views)
    elif cfg.model.type in ('RelativeLocation', 'Jigsaw'):  # a mosaic of 3 x 3 tiles
        assert [view.type for view in views] == ['TileView'] and sizes == [192 if size == 224 else 48]
    elif cfg.model.type == 'ContextEncoder':
        assert sizes == [128 if size == 224 else size]
    elif cfg.model.type == 'Colorization':  # a change of colour would change the target
        assert sizes == [176 if size == 224 else size]
        assert not any((views[0].get('grayscale'), views[0].get('jitter'), views[0].get('solarize')))
    elif cfg.model.type == 'AMDIM':
        assert sizes == [128 if size == 224 else size] * 2
    elif cfg.model.type == 'PIRL':
        assert sizes == [size, 192 if size == 224 else 48] and [view.type for view in views][1] == 'TileView'
    elif cfg.model.type in (
        'RotNet',
        'NPID',
        'ODC',
        'ImageClassifier',
        'IGAM',
        'DeepCluster',
        'SeLa',
    ):  # which have labels
        assert sizes == [size]
    elif 'target' in cfg.model:  # one view, perhaps rendered for a teacher as well
        assert sizes[0] == cfg.model.backbone.get('img_size', size)
        assert all(view.type == 'SameView' for view in views[1:])
    elif path.stem == 'deepclusterv2_resnet50_64xb64-400e_in1k':
        assert sizes == [160] * 2 + [96] * 4
    else:
        size = cfg.model.backbone.get('img_size', size)
        local = 98 if cfg.model.backbone.get('patch_size') == 14 else local
        assert sizes == [size, size] + [local] * (len(sizes) - 2)
        assert all(view.grayscale == 0.2 for view in views)


@recipes
def test_small_model_takes_a_step_that_reaches_every_parameter(path: Path) -> None:
    cfg = shrink(loaded(path))
    views = [view.to_dict() for view in cfg.train_dataloader.dataset.views]
    same = repr((cfg.model.to_dict(), cfg.optim_wrapper.to_dict(), views))
    if same in _STEPPED:  # a recipe that differs in length or size alone
        return
    model = build(cfg)
    model.init_weights()
    model.on_train_start()
    optim = optimizer(cfg, model)
    before = {name: param.detach().clone() for name, param in model.named_parameters()}
    sizes = [view.size for view in cfg.train_dataloader.dataset.views]
    samples = step_samples(model, BATCH_SIZE, sizes[0])
    terms = model.loss([torch.randn(BATCH_SIZE, 3, size, size) for size in sizes], samples)
    sum(value for name, value in terms.items() if name.startswith('loss')).backward()
    optim.step()
    model.on_step_end(0.5)

    held = {id(param) for group in optim.param_groups for param in group['params']}
    for name, param in model.named_parameters():
        assert (param.grad is not None) == param.requires_grad == (id(param) in held), name
        assert param.requires_grad or name.startswith('teacher.') or torch.equal(param, before[name]), name
    assert any(not torch.equal(param, before[name]) for name, param in model.named_parameters())
    _STEPPED.add(same)


SWAV = [f'swav_resnet50{recipe}e_in1k' for recipe in ('_64xb64-800', '_64xb64-400', '_4xb64-400', '-2views_64xb64-400')]
# Trainable and total parameters of backbone, neck and head, and of the whole with its teacher.
COUNTS = {
    'simclr_resnet50_16xb256-100e_in1k': (23_508_032 + 8_659_072, 23_508_032 + 8_659_072),
    'simclr_resnet50_16xb256-1000e_in1k': (27_968_704, 27_968_704),
    'mocov1_resnet50_8xb32-200e_in1k': (23_770_304, 2 * 23_770_304),
    'mocov2_resnet50_8xb32-200e_in1k': (27_966_656, 2 * 27_966_656),
    'mocov2_resnet50_8xb32-800e_in1k': (27_966_656, 2 * 27_966_656),
    'interclr_resnet50_8xb32-200e_in1k': (27_966_656, 2 * 27_966_656),
    **{f'detco_resnet50_8xb32-{n}e_in1k': (80_205_376, 2 * 80_205_376) for n in (100, 200, 800)},
    'resim_resnet50_8xb32-200e_in1k': (30_065_088, 2 * 30_065_088),
    'resim_resnet50_8xb32-400e_in1k': (30_065_088, 2 * 30_065_088),
    'densecl_resnet50_8xb32-200e_in1k': (32_425_280, 2 * 32_425_280),
    'densecl_resnet101_8xb32-200e_in1k': (51_417_408, 2 * 51_417_408),
    'byol_resnet50_16xb256-100e_in1k': (35_066_944, 35_066_944 + 32_957_504),
    'byol_resnet50_16xb256-300e_in1k': (35_066_944, 35_066_944 + 32_957_504),
    'byol_resnet50_16xb256-1000e_in1k': (35_066_944, 35_066_944 + 32_957_504),
    'simsiam_resnet50_8xb64-100e_in1k': (38_199_360, 38_201_408),
    'simsiam_resnet50_8xb32-100e_in1k': (38_199_360, 38_201_408),
    'barlowtwins_resnet50_16xb128-300e_in1k': (23_508_032 + 151_027_712, 174_535_744),
    'barlowtwins_resnet50_16xb128-1000e_in1k': (23_508_032 + 151_027_712, 174_535_744),
    'vicreg_resnet50_8xb64-100e_in1k': (23_508_032 + 151_044_096, 174_552_128),
    'vicreg_resnet50_32xb64-1000e_in1k': (23_508_032 + 151_044_096, 174_552_128),
    'mocov3_resnet50_16xb256-100e_in1k': (35_058_752, 68_012_160),
    'mocov3_resnet50_16xb256-300e_in1k': (35_058_752, 68_012_160),
    'mocov3_resnet50_16xb256-1000e_in1k': (35_058_752, 68_012_160),
    'mocov3_vit-small_32xb128-300e_in1k': (42_815_104, 84_266_752),
    'mocov3_vit-base_64xb64-300e_in1k': (108_150_016, 215_678_464),
    'dino_vit-small_8xb64-100e_in1k': (21_665_664 + 22_286_592, 2 * (21_665_664 + 22_352_128)),
    'dino_vit-small_16xb64-300e_in1k': (21_665_664 + 22_352_128, 2 * (21_665_664 + 22_352_128)),
    'dino_vit-base_16xb64-100e_in1k': (85_798_656 + 23_073_024, 2 * (85_798_656 + 23_138_560)),
    'dino_resnet50_8xb64-100e_in1k': (23_508_032 + 25_694_464, 2 * (23_508_032 + 25_760_000)),
    'ibot_vit-small_16xb64-800e_in1k': (21_666_048 + 7_614_720, 2 * (21_665_664 + 7_614_720) + 384),
    'ibot_vit-small_1xb128-100e_in1k': (21_666_048 + 7_614_720, 2 * (21_665_664 + 7_614_720) + 384),
    'ibot_vit-base_16xb64-400e_in1k': (85_799_424 + 8_392_960, 2 * (85_798_656 + 8_401_152) + 768),
    'ibot_vit-large_64xb16-250e_in1k': (303_302_656 + 8_917_248, 2 * (303_301_632 + 8_925_440) + 1024),
    'dinov2_vit-large_32xb64-200e_in1k': (303_351_808 + 23_662_848, 2 * (303_351_808 + 23_662_848) - 1024),
    'dinov2_vit-giant_256xb12-135e_in22k': (
        1_134_771_200 + 58_593_664 + 41_554_176,
        2 * (1_134_771_200 + 58_593_664 + 41_554_176) - 1536,
    ),
    'dinov2_vit-base_16xb128-200e_in1k': (85_817_856 + 23_138_560, 2 * (85_817_856 + 23_138_560) - 768),
    'dinov2_vit-small_8xb256-200e_in1k': (21_675_264 + 22_352_128, 2 * (21_675_264 + 22_352_128) - 384),
    'dinov2_vit-small_1xb128-100e_in1k': (21_676_800 + 9_720_064, 2 * (21_676_800 + 9_720_064) - 384),
    **dict.fromkeys(SWAV, (28_354_752, 28_354_752)),
    'swav_resnet50-2x_128xb32-400e_in1k': (128_918_784, 128_918_784),
    'swav_resnet50-4x_64xb40-400e_in1k': (443_944_320, 443_944_320),
    'rotnet_alexnet_1xb192-50e_in1k': (57_030_724, 57_030_724),
    'rotnet_resnet50_8xb16-70e_in1k': (23_508_032 + 8196, 23_508_032 + 8196),
    'relativeloc_resnet50_8xb64-70e_in1k': (40_330_312, 40_330_312),
    'colorization_eccv16_1xb40-16e_in1k': (32_236_011 - 626,) * 2,
    'contextencoder_dcgan_1xb64-500e_in1k': (71_130_531 + 2_766_529 - 5_987 - 961,) * 2,  # without biases
    'nnclr_resnet50_16xb256-1000e_in1k': (23_508_032 + 8_921_600 + 2_105_600,) * 2,
    'npid_resnet50_8xb32-200e_in1k': (23_508_032 + 262_272,) * 2,
    'pirl_resnet50_32xb32-200e_in1k': (23_508_032 + 2 * 262_272 + 147_584,) * 2,
    'amdim_amdim-192_4xb120-50e_in1k': (208_419_264,) * 2,  # without the norms that are switched off
    'odc_resnet50_8xb64-440e_in1k': (23_508_032 + 1_049_088 + 131_328 + 2_570_000,) * 2,
    'jigsaw_resnet50_8xb32-105e_in1k': (23_508_032 + 2_951_100,) * 2,
    'deepcluster_alexnet-sobel_1xb256-200e_in1k': (99_242_480, 99_242_504),
    'deepcluster_vgg16-sobel_1xb256-200e_in1k': (175_238_416, 175_238_440),
    'deepcluster_resnet50_8xb64-200e_in1k': (23_508_032 + 20_490_000,) * 2,
    'deepclusterv2_resnet50_64xb64-800e_in1k': (27_970_752, 27_970_752 + 3 * 3000 * 128),
    'deepclusterv2_resnet50_64xb64-400e_in1k': (27_970_752, 27_970_752 + 3 * 3000 * 128),
    'deepclusterv2_resnet50-2views_64xb64-400e_in1k': (27_970_752, 27_970_752 + 3 * 3000 * 128),
    'sela_alexnet_4xb64-400e_in1k': (58_284_096 + 122_910_000,) * 2,
    'sela_preactresnet50_4xb64-400e_in1k': (84_966_256,) * 2,
    'sela_resnet50_4xb64-400e_in1k': (23_508_032 + 61_470_000,) * 2,
    'clusterfit_resnet50_8xb32-105e_in1k': (23_508_032 + 32_784_000,) * 2,
    'bownet_resnet50_8xb32-200e_in1k': (40_285_249, 40_285_249 + 23_508_032),
    'bownet_resnet50-conv4_8xb32-200e_in1k': (40_285_249, 40_285_249 + 8_543_296),
    'mae_vit-base_64xb64-800e_in1k': (111_655_680, 111_907_840),
    'mae_vit-base_64xb64-1600e_in1k': (111_655_680, 111_907_840),
    'mae_vit-large_64xb64-800e_in1k': (329_239_296, 329_541_888),
    'mae_vit-large_64xb64-1600e_in1k': (329_239_296, 329_541_888),
    'mae_vit-huge_64xb64-1600e_in1k': (656_613_964, 657_074_508),
    'hivitmae_hivit-base_16xb256-1600e_in1k': (86_940_800, 87_041_152),
    'itpn_hivit-base-pixel_64xb64-400e_in1k': (108_392_992, 108_493_344),
    'itpn_hivit-base-pixel_64xb64-1600e_in1k': (108_392_992, 108_493_344),
    'itpn_hivit-large-pixel_64xb64-400e_in1k': (318_239_456, 318_339_808),
    'itpn_hivit-large-pixel_64xb64-1600e_in1k': (318_239_456, 318_339_808),
    'simmim_swin-base_16xb128-100e_in1k': (89_874_104, 89_874_104),
    'simmim_swin-base_16xb128-800e_in1k': (89_874_104, 89_874_104),
    'simmim_swin-large_16xb128-800e_in1k': (199_881_204, 199_881_204),
    'simmim_vit-base_16xb128-800e_in1k': (86_256_720, 86_256_720),
    'itpn_hivit-base-clip_32xb64-300e_in1k': (88_738_288, 88_738_288 + 86_193_152),
    'itpn_hivit-base-clip_32xb64-800e_in1k': (88_738_288, 88_738_288 + 86_193_152),
    'itpn_hivit-large-clip_32xb64-300e_in1k': (307_059_176, 307_059_176 + 86_193_152),
    'beit_vit-base_16xb128-300e_in1k': (91_965_776, 91_965_776 + 53_786_240),
    'beit_vit-base_16xb128-800e_in1k': (91_965_776, 91_965_776 + 53_786_240),
    'beit_vit-large_16xb128-800e_in1k': (311_534_016, 311_534_016 + 53_786_240),
    'maskfeat_vit-base_64xb32-300e_in1k': (85_798_656 + 768 + 83_052,) * 2,
    'maskfeat_vit-base_64xb32-1600e_in1k': (85_798_656 + 768 + 83_052,) * 2,
    'maskfeat_vit-large_64xb32-300e_in1k': (303_301_632 + 1024 + 110_700,) * 2,
    'maskfeat_vit-large_64xb32-1600e_in1k': (303_301_632 + 1024 + 110_700,) * 2,
    'greenmim_swin-base_8xb256-800e_in1k': (91_997_880, 92_022_968),
    'greenmim_swin-base-win14_8xb256-800e_in1k': (92_172_600, 92_197_688),
    'greenmim_swin-large-win14_8xb256-800e_in1k': (200_774_356, 200_799_444),
    'igpt_gpt-small_8xb16-100e_in1k': (76_571_648,) * 2,
    'igpt_gpt-small-bert_8xb16-100e_in1k': (76_571_136,) * 2,
    'igpt_gpt-medium_8xb16-100e_in1k': (455_157_760,) * 2,
    'igpt_gpt-large_8xb16-100e_in1k': (1_362_250_752,) * 2,
    'eva_vit-giant_128xb32-150e_in1k': (1_012_229_632 + 40 * 1408, 1_012_285_952 + 303_966_976),  # biases of keys
    'mvp_vit-base_16xb128-300e_in1k': (86_059_856, 86_059_856 + 86_193_152),
    'distillation_vit-small_16xb64-100e_in1k': (22_257_024, 22_257_024 + 85_798_656),
    'a2mim_resnet50_8xb256-100e_in1k': (23_510_080 + 6_294_528,) * 2,
    'a2mim_resnet50_8xb256-300e_in1k': (23_510_080 + 6_294_528,) * 2,
    'a2mim_resnet101_8xb256-300e_in1k': (42_502_208 + 6_294_528,) * 2,
    'a2mim_resnet152_8xb256-300e_in1k': (58_145_856 + 6_294_528,) * 2,
    'a2mim_resnet200_8xb256-300e_in1k': (62_626_880 + 6_294_528,) * 2,
    'a2mim_vit-small_8xb256-800e_in1k': (21_895_080,) * 2,
    'a2mim_vit-base_16xb128-800e_in1k': (86_256_720,) * 2,
    'a2mim_vit-large_16xb128-800e_in1k': (303_924_416,) * 2,
    'convmae_convvit-base_24xb128-1600e_in1k': (114_790_528, 115_041_408),
    **dict.fromkeys(
        (f'cae_vit-base_32xb64-{epochs}e_in1k' for epochs in (300, 800, 1600)),
        (148_681_472, 234_640_640 + 53_786_240),
    ),
    'cae_vit-large_32xb64-1600e_in1k': (412_320_768, 715_848_704 + 53_786_240),
    'ijepa_vit-huge_16xb128-300e_in1k': (630_434_560 + 22_279_424, 2 * 630_762_240 + 22_377_728),
    'ijepa_vit-huge16-448_16xb128-300e_in1k': (630_664_960 + 22_279_424, 2 * 631_668_480 + 22_580_480),
    'capi_vit-large_32xb512-6410e_in1k': (453_679_104 + 2 * 16_793_600, 2 * 453_683_712 + 3 * 16_793_600),
    'care_resnet50_8xb128-100e_in1k': (79_440_448, 79_440_448 + 75_221_056),
    'care_resnet50_8xb128-200e_in1k': (79_440_448, 79_440_448 + 75_221_056),
    'care_resnet50_8xb128-400e_in1k': (79_440_448, 79_440_448 + 75_221_056),
    'care_resnet50_8xb128-800e_in1k': (79_440_448, 79_440_448 + 75_221_056),
    'care_resnet101_8xb128-100e_in1k': (98_432_576, 98_432_576 + 94_213_184),
    'care_resnet152_8xb128-100e_in1k': (114_076_224, 114_076_224 + 109_856_832),
    'addernet_resnet18_8xb32-150e_in1k': (11_176_512 + 515_000,) * 2,
    'addernet_resnet50_8xb32-150e_in1k': (25_559_032,) * 2,
    'care_resnet50-2x_8xb128-100e_in1k': (122_766_656, 122_766_656 + 118_547_264),
}


@pytest.mark.parametrize('path', [path for path in RECIPES if path.stem.endswith('_in1k')], ids=lambda path: path.stem)
def test_parameter_counts(path: Path) -> None:
    same = repr(loaded(path).model.to_dict())
    if same not in _COUNTED:
        with torch.device('meta'), Undrawn():
            model = build(loaded(path))
        trainable = sum(param.numel() for param in model.parameters() if param.requires_grad)
        _COUNTED[same] = trainable, sum(param.numel() for param in model.parameters())
    assert _COUNTED[same] == COUNTS[path.stem]


@pytest.mark.parametrize(
    ('stem', 'total'),
    [('mocov3_vit-small_32xb128-300e_in1k', 82_170_208), ('mocov3_vit-base_64xb64-300e_in1k', 208_480_960)],
)
def test_convolutional_stem_of_the_docstring(stem: str, total: int) -> None:
    cfg = deepcopy(recipe(stem))
    cfg.model.backbone.arch.depth = 11
    cfg.model.backbone.update(patch_embed='conv')
    with torch.device('meta'):
        model = build(cfg)
    assert sum(param.numel() for param in model.parameters()) == total


def test_wider_and_deeper_networks_of_vicregs_card() -> None:
    """The official hub counts the same parameters of ``resnet50x2`` and ``resnet200x2``."""
    text = (CONFIGS / 'vicreg' / 'README.md').read_text()
    found = []
    for line in re.findall(r'--cfg-options (model\.backbone[^`]+)', text):
        options = {key: int(value) for key, value in (option.split('=') for option in line.split())}
        cfg = load_config(CONFIGS / 'vicreg' / 'vicreg_resnet50_32xb64-1000e_in1k.py', options)
        with torch.device('meta'), Undrawn():
            model = build(cfg)
        assert options['model.neck.in_channels'] == 2048 * options['model.backbone.width']
        found.append(sum(param.numel() for param in model.backbone.parameters()))
    assert found == [93_907_072, 250_128_512]


def test_frozen_parameters() -> None:
    def frozen(stem: str) -> set[str]:
        model = build(shrink(recipe(stem)))
        return {
            name
            for name, param in model.named_parameters()
            if not param.requires_grad and not name.startswith('teacher.')
        }

    assert frozen('simsiam_resnet50_8xb64-100e_in1k') == {'neck.layers.6.bias'}
    patches = {f'backbone.{name}' for name in ('pos_embed', 'patch_embed.proj.weight', 'patch_embed.proj.bias')}
    assert frozen('mocov3_vit-small_32xb128-300e_in1k') == patches
    assert frozen('mocov3_resnet50_16xb256-100e_in1k') == set()


# (epoch, learning rate); where the schedule moves per iteration the value is that of the epoch's first one. Where the
# warm-up's last step has the highest rate, half of its epochs are a little more than half of the way; where rates come
# a step late, an epoch begins with that of the step before.
_HALF = 5 * ITERATIONS / (10 * ITERATIONS - 1)
_LATE = 1 / (100 * ITERATIONS)
SCHEDULES = {
    'addernet_resnet20_1xb256-400e_cifar10': [  # of adder filters, and of the others
        (0, [0.1] * 2),
        (1, [0.05 * (1 + math.cos(math.pi / 400))] * 2),
        (200, [0.05] * 2),
        (399, [0.05 * (1 + math.cos(399 * math.pi / 400))] * 2),
    ],
    'mocov3_resnet50_16xb256-100e_in1k': [(0, 0.0), (5, 4.8), (10, 9.6), (55, 4.8)],
    'mocov3_vit-small_32xb128-300e_in1k': [(0, 0.0), (20, 1.2e-3), (40, 2.4e-3), (170, 1.2e-3)],
    'mocov2_resnet50_8xb32-200e_in1k': [(0, 0.03), (100, 0.015)],
    'mocov1_resnet50_8xb32-200e_in1k': [(0, 0.03), (119, 0.03), (120, 0.003), (159, 0.003), (160, 0.0003)],
    'simsiam_resnet50_8xb64-100e_in1k': [(0, 0.1), (50, 0.05)],
    'byol_resnet50_16xb256-100e_in1k': [(0, 0.0), (10, 7.2), (55, 3.6)],
    'byol_resnet50_16xb256-1000e_in1k': [(10, 3.2), (505, 1.6)],
    'simclr_resnet50_16xb256-100e_in1k': [(0, 0.0), (5, 2.4), (10, 4.8), (55, 2.4)],
    'dino_vit-small_8xb64-100e_in1k': [(0, [0.0] * 2), (5, [1e-3 * _HALF] * 2), (10, [1e-3] * 2), (55, [5.005e-4] * 2)],
    'dino_resnet50_8xb64-100e_in1k': [(10, [0.06] * 2), (55, [0.03 * (1 + 1.7e-5)] * 2)],
    'ibot_vit-small_16xb64-800e_in1k': [(0, [0.0] * 2), (10, [2e-3] * 2), (405, [1.0005e-3] * 2)],
    'barlowtwins_resnet50_16xb128-1000e_in1k': [  # of weights, and of biases and norms
        (0, [0.0, 0.0]),
        (5, [0.2 * 4, 0.0048 * 4 / 16]),
        (10, [0.2 * 8, 0.0048 * 8 / 16]),
        (505, [0.2 * 4.004, 0.0048 * 4.004 / 16]),
    ],
    'vicreg_resnet50_32xb64-1000e_in1k': [(0, 0.0), (5, 0.8), (10, 1.6), (505, 0.8008)],
    'vicreg_resnet50_8xb64-100e_in1k': [(10, 0.6), (55, 0.3003)],
    'swav_resnet50_64xb64-800e_in1k': [(0, 0.3), (5, 2.55), (10, 4.8), (405, 2.4024)],
    'swav_resnet50_4xb64-400e_in1k': [(0, 0.6), (200, 0.3003)],
    'rotnet_alexnet_1xb192-50e_in1k': [(14, 0.01), (15, 1e-3), (30, 1e-4), (45, 1e-5)],
    'rotnet_nin_1xb128-200e_cifar10': [(59, 0.1), (60, 0.02), (120, 0.004), (160, 0.0008)],
    'clusterfit_resnet50_8xb32-105e_in1k': [(29, [0.1] * 3), (30, [0.01] * 3), (90, [1e-4] * 3), (100, [1e-5] * 3)],
    'rotnet_resnet50_8xb16-70e_in1k': [(0, 0.02), (5, 0.2), (29, 0.2), (30, 0.02), (50, 0.002)],
    'relativeloc_resnet50_8xb64-70e_in1k': [  # of the backbone, and of neck and head
        (0, [0.02] * 2),
        (5, [0.2] * 2),
        (29, [0.2] * 2),
        (30, [0.02] * 2),
        (50, [0.002] * 2),
    ],
    'jigsaw_resnet50_8xb32-105e_in1k': [(0, [0.025] * 3), (4, [0.085] * 3), (30, [0.01] * 3), (100, [1e-5] * 3)],
    'deepcluster_alexnet-sobel_1xb256-200e_in1k': [(0, [0.05] * 2), (199, [0.05] * 2)],
    'deepclusterv2_resnet50_64xb64-800e_in1k': [(0, 0.3), (5, 2.55), (10, 4.8), (405, 2.4024)],
    'sela_alexnet_4xb64-400e_in1k': [(149, 0.05), (150, 0.005), (300, 0.0005), (350, 0.00005)],
    'sela_resnet18_1xb128-400e_cifar10': [(239, 0.03), (240, 0.003), (320, 0.0003)],
    'hivitmae_hivit-base_16xb256-1600e_in1k': [(0, [0.0] * 2), (40, [1.6e-3] * 2), (820, [8e-4] * 2)],
    'itpn_hivit-base-pixel_64xb64-400e_in1k': [(20, [1.2e-3] * 2), (40, [2.4e-3] * 2), (220, [1.2e-3] * 2)],
    'itpn_hivit-large-pixel_64xb64-1600e_in1k': [(40, [2.4e-3] * 2), (820, [1.2e-3] * 2)],
    'itpn_hivit-base-clip_32xb64-800e_in1k': [(0, [0.0] * 2), (5, [1.5e-3] * 2), (270, [1e-5 + 1.49e-3 * 0.75] * 2)],
    'mae_vit-base_64xb64-800e_in1k': [(0, [0.0] * 2), (20, [1.2e-3] * 2), (40, [2.4e-3] * 2), (420, [1.2e-3] * 2)],
    'simmim_swin-base_16xb128-100e_in1k': [  # with weight decay, and without
        (0, [4e-6] * 2),
        (5, [4e-6 + 7.96e-4 * (0.5 - 10 * _LATE)] * 2),
        (11, [8e-4 * (0.05 + 0.95 * (1 + math.cos(math.pi * (0.11 - _LATE))) / 2)] * 2),
        (50, [8e-4 * (0.05 + 0.95 * (1 + math.cos(math.pi * (0.5 - _LATE))) / 2)] * 2),
    ],
    'simmim_swin-base_16xb128-800e_in1k': [
        (0, [2e-6] * 2),
        (11, [4e-4] * 2),
        (700, [4e-4] * 2),
        (701, [4e-5] * 2),
        (799, [4e-5] * 2),
    ],
    'simmim_vit-base_16xb128-800e_in1k': [  # the official step comes late as well
        (5, [2e-6 + 3.98e-4 * (0.5 - 10 * _LATE)] * 2),
        (700, [4e-4] * 2),
        (701, [4e-5] * 2),
    ],
    'eva_vit-giant_128xb32-150e_in1k': [(0, [0.0] * 2), (2, [1e-3] * 2), (76, [5.05e-4] * 2)],
    'greenmim_swin-base_8xb256-800e_in1k': [(20, [4e-4] * 2), (40, [8e-4] * 2), (420, [4e-4] * 2)],
    'igpt_gpt-large_8xb16-100e_in1k': [(0, 0.0), (1, 1e-3), (34, 7.5e-4), (67, 2.5e-4)],
    'a2mim_resnet50_8xb256-300e_in1k': [  # with weight decay, without, of the mask token, and of its gamma
        (5, [6e-4, 6e-4, 6e-5, 6e-4]),
        (10, [1.2e-3, 1.2e-3, 1.2e-4, 1.2e-3]),
        (155, [6.05e-4, 6.05e-4, 6.05e-5, 6.05e-4]),
    ],
    'a2mim_vit-base_16xb128-800e_in1k': [(5, [2e-4 + 4e-10] * 2), (699, [4e-4] * 2), (700, [4e-5] * 2)],
    'cae_vit-base_32xb64-300e_in1k': [(0, [0.0] * 2), (5, [1.5e-3 * _HALF] * 2), (155, [(1.5e-3 + 1e-5) / 2] * 2)],
    'convmae_convvit-base_24xb128-1600e_in1k': [(0, [0.0] * 2), (40, [1.8e-3] * 2), (820, [9e-4] * 2)],
    'beit_vit-base_16xb128-800e_in1k': [(0, [0.0] * 2), (10, [1.5e-3] * 2), (405, [(1.5e-3 + 1e-5) / 2] * 2)],
    'beit_vit-base_16xb128-300e_in1k': [(5, [1.5e-3 * _HALF] * 2), (155, [(1.5e-3 + 1e-5) / 2] * 2)],
    'maskfeat_vit-base_64xb32-300e_in1k': [(0, [8e-6] * 2), (30, [1.6e-3] * 2), (165, [8.04e-4] * 2)],
    'maskfeat_vit-large_64xb32-1600e_in1k': [(15, [8.04e-4] * 2), (30, [1.6e-3] * 2), (815, [8.04e-4] * 2)],
    'capi_vit-large_32xb512-6410e_in1k': [  # of matrices, of the patch embedding, its bias, of norms, and of clusters
        (0, [0.0] * 5),
        (641, [1e-3, 2e-4, 2e-4, 1e-3, 5e-4]),
        (3525, [rate * (1 + math.cos(0.8 * math.pi * 2884 / 5769)) / 2 for rate in (1e-3, 2e-4, 2e-4, 1e-3, 5e-4)]),
    ],
    'care_resnet50_8xb128-100e_in1k': [(0, 1e-6), (1, 0.0200009), (10, 0.2), (55, 0.1)],
}


def rates(cfg: Config, epochs: list[int]) -> list[list[float]]:
    """The learning rates of all parameter groups at the beginning of each of ``epochs``, ascending."""
    optim = optimizer(cfg, build(shrink(cfg)))
    schedules = cfg.param_scheduler  # of the learning rate, and perhaps of the weight decay after it
    schedule = dict(schedules[0] if isinstance(schedules, list) else schedules)
    by_epoch = schedule.get('by_epoch', schedule['type'] == 'StepLR')
    length = 1 if by_epoch else ITERATIONS
    schedule.update(max_epochs=cfg.max_epochs, end=cfg.max_epochs * length)
    schedule = PARAM_SCHEDULERS.build(schedule, default_args=dict(optimizer=optim))
    found = []
    for epoch in epochs:  # as a resumed run goes to a position
        schedule.load_state_dict(schedule.state_dict() | dict(_global_step=epoch * length, last_step=epoch * length))
        found.append([group['lr'] for group in optim.param_groups])
    return found


@pytest.mark.parametrize('stem', SCHEDULES)
def test_learning_rate(stem: str) -> None:
    epochs, expected = zip(*SCHEDULES[stem])
    fixed = [0.1] if stem.startswith('simsiam') else []  # the predictor's
    for values, value in zip(rates(recipe(stem), list(epochs)), expected):
        groups = value if isinstance(value, list) else [value, *fixed]
        assert values == pytest.approx(groups, rel=1e-9, abs=1e-12)


def test_square_root_and_linear_rule_agree_at_the_batch_of_simclr() -> None:
    cfg = recipe('simclr_resnet50_16xb256-100e_in1k')
    assert cfg.auto_scale_lr == dict(base_batch_size=4096, rule='sqrt')
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.075 * 4096**0.5) == pytest.approx(0.3 * 4096 / 256)


def test_cards_list_every_recipe_and_nothing_else() -> None:
    assert CARDS
    for card in CARDS:
        linked = {Path(name).stem for name in re.findall(r'\]\(([^)/]+\.py)\)', card.read_text())}
        assert linked == {path.stem for path in card.parent.glob('*.py')}, card


def test_names_in_prose_exist() -> None:
    stems = {path.stem for path in RECIPES}
    for page in [ROOT / 'README.md', CONFIGS / 'README.md', *CARDS]:
        named = {match[0] for match in NAME.finditer(page.read_text())}
        assert named <= stems, page


def test_method_tables_link_every_card() -> None:
    for page, prefix in [(ROOT / 'README.md', 'configs/'), (CONFIGS / 'README.md', '')]:
        text = page.read_text()
        for card in CARDS:
            assert f'({prefix}{card.parent.name}/README.md)' in text or f'({prefix}{card.parent.name})' in text, page
