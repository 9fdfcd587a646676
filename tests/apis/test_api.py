"""The functions of ``mmssl.*``: recipes by name, models, backbones, features, training, evaluation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from PIL import Image

import mmssl
from mmssl.apis.features import write_features
from mmssl.apis.images import list_images, read_image
from mmssl.apis.train import Settings
from mmssl.config.recipes import find_config, recipes
from mmssl.converters.trained import load_trained
from mmssl.utils.errors import UserError
from tests.support.image_files import write_images

RECIPE = 'simclr_resnet18_1xb512-200e_cifar10'
TINY = {
    'model.backbone.width': 0.125,
    'model.neck.in_channels': 64,
    'train_dataloader.batch_size': 4,
    'param_scheduler.warmup_epochs': 0,
    'default_hooks.checkpoint.interval': 1,
}


@pytest.fixture(scope='module')
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen images in two folders."""
    folder = tmp_path_factory.mktemp('photos')
    write_images(folder, [f'{kind}/{number}.png' for kind in ('cat', 'dog') for number in range(8)])
    return folder


@pytest.fixture(scope='module')
def checkpoint(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a training of one epoch."""
    cfg = mmssl.get_recipe(RECIPE, TINY, images=photos, max_epochs=1)
    before = cfg.pretty_text
    runner = mmssl.train(cfg, tmp_path_factory.mktemp('run'), validate=False, seed=3)
    assert runner.seed == 3 and cfg.pretty_text == before
    return Path(runner.work_dir, 'epoch_1.pth')


def test_names_of_recipes_stand_for_their_files() -> None:
    assert mmssl.list_recipes('mae_vit-base*', dataset='in1k') == sorted(
        name for name in recipes() if name.startswith('mae_vit-base') and name.endswith('_in1k')
    )
    assert 'small' not in mmssl.list_recipes() and not any('photo_patches' == name for name in mmssl.list_recipes())
    assert mmssl.list_recipes(dataset='coco') and not mmssl.list_recipes(dataset='no-such-data')
    assert find_config(f'{RECIPE}.py') == find_config(RECIPE) == recipes()[RECIPE]
    assert len(recipes()) == len({path.stem for path in recipes().values()})


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('simclr_resnet18_1xb512-200e_cifar1', f"no recipe has this name; did you mean '{RECIPE}'"),
        ('nothing like it', 'list all names with: mmssl recipes'),
        (f'configs/simcrl/{RECIPE}.py', "did you mean 'configs/simclr/"),
    ],
)
def test_names_that_no_recipe_has(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        mmssl.get_recipe(name)


@pytest.mark.parametrize('name', ['epoch_1.pth', 'photo.png', 'photos'])
def test_files_that_are_no_config(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text('')
    with pytest.raises(UserError, match='is no config: give the name of a recipe, or a file that ends in .py, .yml'):
        mmssl.get_recipe(tmp_path / name)


def test_a_recipe_is_changed_by_options_and_inherited_by_name(tmp_path: Path) -> None:
    cfg = mmssl.get_recipe(RECIPE, {'train_dataloader.batch_size': 8}, data_root='elsewhere', max_epochs=4)
    assert cfg.train_dataloader.batch_size == 8 and cfg.max_epochs == 4
    assert cfg.val_cfg.bank_dataloader.dataset.data_root == 'elsewhere'
    assert mmssl.get_recipe(cfg, max_epochs=5).max_epochs == 5 and cfg.max_epochs == 4
    with pytest.raises(UserError, match='changes nothing'):
        mmssl.get_recipe(RECIPE, epochs=3)
    heir = tmp_path / 'heir.py'
    heir.write_text(f"_base_ = 'mmssl::simclr/{RECIPE}.py'\nmax_epochs = 7\n")
    cfg, recipe = mmssl.get_recipe(heir), mmssl.get_recipe(RECIPE)
    assert cfg.model == recipe.model
    # MMEngine passes every key of collate_fn beside its type on to the function.
    assert cfg.train_dataloader == recipe.train_dataloader and '_scope_' not in cfg.pretty_text


def test_images_take_the_place_of_all_datasets(photos: Path, tmp_path: Path) -> None:
    cfg = mmssl.get_recipe(RECIPE, images=photos)
    sets = [cfg.train_dataloader.dataset, cfg.val_dataloader.dataset, cfg.val_cfg.bank_dataloader.dataset]
    assert [(part.type, part.split) for part in sets] == [('ClassFolder', split) for split in ('train', 'val', 'train')]
    assert len(sets[0].views) == 2 and sets[1].transform.size == 32
    options = {f'train_dataloader.dataset.{key}': value for key, value in (('decoded', 'x'), ('reduced_decoding', 2))}
    kept = mmssl.get_recipe(RECIPE, options, images=photos).train_dataloader.dataset
    assert (kept.type, kept.decoded, kept.reduced_decoding) == ('ClassFolder', 'x', 2)
    flat = mmssl.get_recipe(RECIPE, images=photos / 'cat')
    assert flat.train_dataloader.dataset.type == 'ImageFolder'
    assert [metric.type for metric in flat.val_evaluator.metrics] == ['EmbeddingStatistics']
    with pytest.raises(UserError, match='put the images of .* into class folders'):
        mmssl.get_recipe('linear_resnet18_1xb512-50e_cifar10', images=photos / 'cat')
    with pytest.raises(UserError, match='holds 0 images'):
        mmssl.get_recipe(RECIPE, images=tmp_path)
    for recipe in (mmssl.get_recipe, mmssl.train):
        with pytest.raises(UserError, match='the option train_dataloader.dataset.data_root would change nothing'):
            recipe(RECIPE, cfg_options={'train_dataloader.dataset.data_root': str(photos)}, images=photos)


def test_registered_names() -> None:
    assert {'SimCLR', 'MAE'} <= set(mmssl.list_methods()) and mmssl.list_methods('Sim*') == [
        'SimCLR',
        'SimMIM',
        'SimSiam',
    ]
    assert {'ResNet', 'HiViT'} <= set(mmssl.list_backbones()) and 'SimCLR' not in mmssl.list_backbones()


def test_models_and_backbones_of_a_training(checkpoint: Path) -> None:
    alone = mmssl.get_model(checkpoint)
    by_recipe = mmssl.get_model(RECIPE, checkpoint, cfg_options=TINY)
    backbones = [mmssl.get_backbone(file) for file in (checkpoint, checkpoint.with_name('epoch_1_backbone.pth'))]
    assert type(alone).__name__ == 'SimCLR' and not alone.training and not backbones[0].training
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(by_recipe.state_dict()[name], tensor)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        for module in (*backbones, by_recipe.backbone):
            torch.testing.assert_close(module(images), alone.backbone(images))
    assert len(mmssl.get_backbone(checkpoint, out_indices=(0, 1, 2, 3))(images)) == 4
    new = mmssl.get_model(RECIPE, cfg_options=TINY)
    assert not torch.equal(new.backbone.conv1.weight, alone.backbone.conv1.weight)


def test_a_backbone_by_the_name_of_its_class_and_one_that_is_cut(tmp_path: Path) -> None:
    init_default_scope('mmengine')  # whatever ran before
    assert mmssl.get_backbone('ResNet', depth=18, width=0.125)(torch.randn(1, 3, 32, 32))[0].shape[:2] == (1, 64)
    cut = dict(depth=18, width=0.125, stem='small', out_indices=(1,))
    content = dict(
        state_dict=mmssl.get_backbone('ResNet', **cut).state_dict(), meta=dict(backbone=cut | dict(type='ResNet'))
    )
    torch.save(content, tmp_path / 'cut.pth')
    assert mmssl.get_backbone(tmp_path / 'cut.pth')(torch.randn(1, 3, 32, 32))[0].shape == (1, 16, 16, 16)
    with pytest.raises(UserError, match="'ResNot' is neither a file nor a backbone; did you mean 'ResNet'"):
        mmssl.get_backbone('ResNot')
    with pytest.raises(FileNotFoundError, match='gone.pth'):
        mmssl.get_backbone('gone.pth')


def test_the_repository_is_one_of_torch_hub(checkpoint: Path) -> None:
    root = Path(__file__).parents[2]
    loaded = torch.hub.load(str(root), 'backbone', str(checkpoint), source='local')
    assert torch.equal(loaded.conv1.weight, mmssl.get_backbone(checkpoint).conv1.weight)
    model = torch.hub.load(str(root), 'model', RECIPE, source='local', cfg_options=TINY)
    assert type(model).__name__ == 'SimCLR'


def test_features_do_not_depend_on_how_images_are_given(checkpoint: Path, photos: Path) -> None:
    extract = mmssl.FeatureExtractor(checkpoint, size=16, batch_size=3)
    features = extract(photos)
    paths = sorted(photos.glob('*/*.png'))
    pictures = [Image.open(path) for path in paths]
    assert features.shape == (16, 64) and features.dtype == torch.float32
    torch.testing.assert_close(extract(paths), features)
    torch.testing.assert_close(extract(pictures), features)
    torch.testing.assert_close(extract([np.array(picture) for picture in pictures]), features)
    torch.testing.assert_close(extract(str(paths[5])), features[5:6])
    whole = mmssl.FeatureExtractor(checkpoint.with_name('epoch_1_backbone.pth'), RECIPE, cfg_options=TINY)
    assert whole(paths[0]).shape == (1, 64)


def test_mistakes_with_images(checkpoint: Path, tmp_path: Path) -> None:
    extract = mmssl.FeatureExtractor(checkpoint, size=16)
    (tmp_path / 'damaged.jpg').write_bytes(b'no image')
    with pytest.raises(UserError, match='damaged.jpg cannot be read'):
        extract(tmp_path)
    with pytest.raises(UserError, match=r'got float64 \(8, 8, 3\)'):
        extract(np.zeros((8, 8, 3)))
    with pytest.raises(UserError, match='gone.jpg is neither an image file nor a folder'):
        extract('gone.jpg')
    with pytest.raises(UserError, match='no validation set, .* give the recipe'):
        mmssl.FeatureExtractor(checkpoint)
    with pytest.raises(UserError, match='has no config'):
        mmssl.FeatureExtractor(checkpoint.with_name('epoch_1_backbone.pth'))


def test_deep_pillow_images_are_scaled_like_files(tmp_path: Path) -> None:
    samples = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    Image.fromarray(samples).save(tmp_path / 'deep.png')
    expected = read_image(str(tmp_path / 'deep.png'))
    assert np.unique(expected).size > 32
    for picture in (Image.open(tmp_path / 'deep.png'), Image.fromarray(samples)):
        assert np.array_equal(next(list_images(picture)), expected)
    for unclear in (samples // 32, samples.astype(np.int32), samples.astype(np.float32)):
        with pytest.raises(UserError, match='a Pillow image of mode .* needs samples scaled to 0-255'):
            list(list_images(Image.fromarray(unclear)))


def test_files_are_read_with_the_range_of_the_datasets(checkpoint: Path, tmp_path: Path) -> None:
    samples = np.arange(0, 16000, 62, np.uint16)[:256].reshape(16, 16)
    Image.fromarray(samples).save(tmp_path / 'deep.png')
    options = {'train_dataloader.dataset.value_range': (0, 16000)}
    extract = mmssl.FeatureExtractor(checkpoint, size=16, cfg_options=options)
    expected = (samples * (255 / 16000)).round().astype(np.uint8)
    assert torch.equal(extract(tmp_path / 'deep.png'), extract(expected))


def test_images_of_any_iterable_and_none_of_an_empty_path(photos: Path) -> None:
    paths = sorted(photos.glob('cat/*.png'))
    assert list(list_images(path for path in paths)) == [str(path) for path in paths]
    assert set(list_images(set(paths))) == {str(path) for path in paths}
    for images in ('', ['']):
        with pytest.raises(UserError, match="an image is an empty string: .* the current folder is '.'"):
            list(list_images(images))
    with pytest.raises(UserError, match=r'shape \(0, 5, 3\) has no pixels'):
        list(list_images(np.zeros((0, 5, 3), np.uint8)))
    with pytest.raises(UserError, match='images is an empty string'):
        mmssl.get_recipe(RECIPE, images='')


def test_the_home_folder_and_the_scope_of_the_program(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(checkpoint.parent))
    with DefaultScope.overwrite_default_scope('mmengine'):
        assert mmssl.FeatureExtractor('~/epoch_1.pth', size=16) and mmssl.get_model('~/epoch_1.pth')
        assert mmssl.get_model(RECIPE, cfg_options=TINY) and mmssl.get_backbone('~/epoch_1.pth')
        assert DefaultScope.get_current_instance().scope_name == 'mmengine'
    mmssl.convert('~/epoch_1.pth', '~/bb.pth', 'mmssl')
    assert (checkpoint.parent / 'bb.pth').is_file()
    assert Settings(pretrained='~/bb.pth').transfer() == dict(checkpoint=str(checkpoint.parent / 'bb.pth'))


def test_an_unreadable_image_in_a_worker(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / 'damaged.jpg').write_bytes(b'no image')
    with pytest.raises(UserError, match='^[^\n]*damaged.jpg cannot be read[^\n]*$'):
        mmssl.FeatureExtractor(checkpoint, size=16, num_workers=1)(tmp_path)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        (dict(size='96'), "size must be a whole number of at least 1, got '96'"),
        (dict(size=-5), 'size must be a whole number of at least 1, got -5'),
        (dict(size=16, batch_size=0), 'batch_size must be a whole number of at least 1, got 0'),
        (dict(size=16, device='gpu'), "device='gpu' cannot be used .* give 'cpu'"),
        (dict(size=16, device='cuda:99'), "device='cuda:99' cannot be used"),
    ],
)
def test_wrong_options_of_an_extractor(checkpoint: Path, option: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        mmssl.FeatureExtractor(checkpoint, **option)


def test_wrong_options_of_backbones_and_recipes(checkpoint: Path) -> None:
    with pytest.raises(UserError, match="ResNet has no argument 'deth'; did you mean 'depth'"):
        mmssl.get_backbone('ResNet', deth=50)
    with pytest.raises(UserError, match="no argument 'out_indexes'; did you mean 'out_indices'"):
        mmssl.get_backbone(checkpoint, out_indexes=(0,))
    with pytest.raises(UserError, match='is a folder: give a file in it'):
        mmssl.get_backbone(checkpoint.parent)
    with pytest.raises(UserError, match='model.backbone.*dpth'):
        mmssl.get_recipe(RECIPE, {'model.backbone.dpth': 50})
    assert type(mmssl.get_model(Config.fromfile(find_config(RECIPE)), cfg_options=TINY)).__name__ == 'SimCLR'
    assert mmssl.get_recipe(RECIPE, {'load_from': 'later.pth'}).load_from == 'later.pth'
    with pytest.raises(UserError, match='cfg_options must be a dict'):
        mmssl.get_recipe(RECIPE, ['a=1'])  # type: ignore[arg-type]
    with pytest.raises(UserError, match='the config has no model: give a config with model'):
        mmssl.get_model(Config())
    with pytest.raises(UserError, match='the config has no model: give a config with model'):
        mmssl.FeatureExtractor(checkpoint, Config(dict(default_scope='mmssl')))
    with pytest.raises(UserError, match='a recipe must be a name, .* got NoneType'):
        mmssl.get_recipe(None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match='max_epochs: given twice'):
        mmssl.get_recipe(RECIPE, {'max_epochs': 3}, max_epochs=4)
    with pytest.raises(UserError, match='work_dir must be a path, got int'):
        mmssl.train(RECIPE, 5)  # type: ignore[arg-type]
    with pytest.raises(UserError, match='work_dir must be a path, got int'):
        mmssl.evaluate(RECIPE, checkpoint, 5)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="data must be one of val, test, bank, got 'train'"):
        write_features(RECIPE, checkpoint, 'x.npz', data='train')
    with pytest.raises(UserError, match='resume must be a path, got int'):
        mmssl.train(RECIPE, resume=5)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="pretrained has no argument 'file'"):
        Settings(pretrained={'file': 'x.pth'}).transfer()


def test_evaluation_and_conversion(checkpoint: Path, photos: Path, tmp_path: Path) -> None:
    cfg = mmssl.get_recipe(RECIPE, TINY, images=photos)
    cfg.val_evaluator.metrics = [dict(type='WeightedKNN', k=2, temperature=0.07)]
    results = mmssl.evaluate(cfg, checkpoint, tmp_path)
    cfg.val_cfg.type = 'mmssl.EmbeddingValLoop'  # as in a config of another scope
    assert mmssl.evaluate(cfg, checkpoint, tmp_path) == results
    cfg.val_cfg = None
    with pytest.raises(UserError, match='has no val_cfg: give a config with val_cfg, val_evaluator'):
        mmssl.evaluate(cfg, checkpoint, tmp_path)
    assert set(results) == {'knn_top1', 'knn_top5'} and all(0 <= value <= 100 for value in results.values())
    written = mmssl.convert(checkpoint, tmp_path / 'backbone.pth', 'mmssl')
    assert written.source == 'mmssl' and mmssl.get_backbone(tmp_path / 'backbone.pth')


def test_a_checkpoint_of_a_backbone_with_published_weights_fetches_none(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = dict(type='TimmBackbone', name='resnet10t', pretrained=True)
    cfg = mmssl.get_recipe(RECIPE, {'model.neck.in_channels': 512}, images=photos)
    cfg.val_evaluator.metrics = [dict(type='WeightedKNN', k=2, temperature=0.07)]
    cfg.model.backbone = dict(backbone, pretrained=False)
    state = mmssl.get_model(cfg).state_dict()
    cfg.model.backbone = backbone
    file = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=state, meta=dict(cfg=cfg.pretty_text)), file)
    create = timm.create_model
    fetched = []
    monkeypatch.setattr(
        timm,
        'create_model',
        lambda *args, pretrained=False, **options: fetched.append(pretrained) or create(*args, **options),
    )
    loaded = [
        mmssl.get_model(file).backbone,
        mmssl.get_backbone(file),
        load_trained(str(file), random_init=1)[1].backbone,
    ]
    assert torch.equal(loaded[0].model.conv1[0].weight.cpu(), state['backbone.model.conv1.0.weight'])
    assert mmssl.evaluate(cfg, file, tmp_path / 'run') and write_features(cfg, file, tmp_path / 'features.npy')
    assert len(fetched) >= 5 and not any(fetched)
    with pytest.raises(UserError, match='predicts no classes'):
        mmssl.Predictor(cfg, file)
    assert not any(fetched) and cfg.model.backbone.pretrained


def test_a_dry_training_leaves_no_file(photos: Path, tmp_path: Path) -> None:
    report = mmssl.train(RECIPE, tmp_path / 'run', cfg_options=TINY, images=photos, dry=True)
    assert not report.problems and 'parameters' in str(report) and not (tmp_path / 'run').exists()
    with pytest.raises(UserError, match='a recipe with stages needs its name'):
        mmssl.train(mmssl.get_recipe('bownet_photos'))


def test_names_are_imported_when_they_are_used() -> None:
    code = (
        'import sys, mmssl\n'
        'assert set(mmssl.__all__) <= set(dir(mmssl))\n'
        "assert mmssl.list_recipes('mae*') and mmssl.get_recipe.__doc__\n"
        "assert not {'torch', 'mmengine', 'numpy'} & set(sys.modules)\n"
        'mmssl.lst_recipes\n'
    )
    finished = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert "has no attribute 'lst_recipes'" in finished.stderr, finished.stderr
    for name in mmssl.__all__:
        assert getattr(mmssl, name) is not None
