"""Images into trained models: classifiers, detectors and segmenters, pictures, and the ways of mmdet and mmseg."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope, init_default_scope
from PIL import Image

from mmssl.apis.predict import Predictor, list_images, predict
from mmssl.config.load import load_config
from mmssl.registry import MODELS
from mmssl.utils.errors import UserError
from mmssl.visualization.predictions import Prediction, save_picture, side_by_side
from tests.support.downstream import SIZE, shrink_options, write_camvid, write_coco, write_voc
from tests.support.image_files import write_images
from tests.support.tools import ROOT, load_tool

needs_downstream = pytest.mark.skipif(
    any(find_spec(package) is None for package in ('mmcv', 'mmdet', 'mmseg')), reason='needs mmdet and mmseg'
)
DETECTOR = ROOT / 'configs' / 'benchmarks' / 'mmdetection' / 'faster-rcnn_r18-fpn_bccd.py'
MASK_DETECTOR = ROOT / 'configs' / 'benchmarks' / 'mmdetection' / 'mask-rcnn_r50-fpn_1x_coco.py'
SEGMENTER = ROOT / 'configs' / 'benchmarks' / 'mmsegmentation' / 'fpn_r18_camvid.py'
tool, test_tool = load_tool('predict.py'), load_tool('test.py')

_CLASSIFIER = """
default_scope = 'mmssl'
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small', width=0.125),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=64, num_classes=2),
)
test_dataloader = dict(
    batch_size=4, num_workers=0, collate_fn=dict(type='collate_views'),
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(type='ClassFolder', data_root='{images}', transform=dict(type='CenterCropView', size=16)),
)
test_cfg = dict(type='AccuracyTestLoop')
test_evaluator = dict(type='AccuracyEvaluator')
"""


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    yield
    init_default_scope('mmssl')


def save(cfg_path: Path, options: dict, path: Path, **meta: object) -> torch.nn.Module:
    """Writes the checkpoint of an untrained model."""
    cfg = load_config(cfg_path, options)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=meta)), path)
    return model


def shrunk(path: Path, root: Path) -> dict:
    options = shrink_options(load_config(path)) | {'data_root': str(root)}
    return {key: value for key, value in options.items() if not key.startswith(('param_scheduler', 'max_epochs'))}


def as_text(options: dict) -> list[str]:
    return [f'{key}={value}' for key, value in options.items()]


def test_a_classifier_names_its_best_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path / 'images', ['cat/0.png', 'cat/1.png', 'dog/2.png'])
    config, checkpoint = tmp_path / 'classifier.py', tmp_path / 'epoch_1.pth'
    config.write_text(_CLASSIFIER.replace('{images}', str(tmp_path / 'images')))
    model = save(config, {}, checkpoint, classes=('cat', 'dog'))
    content = torch.load(checkpoint, weights_only=False)
    content['state_dict']['head.fc.bias'] = torch.tensor([0.0, 50.0])
    torch.save(content, checkpoint)
    results = tool.main([str(config), str(checkpoint), str(tmp_path / 'images'), '--out', str(tmp_path / 'out')])
    assert [result['names'] for result in results] == [['dog', 'cat']] * 3
    assert results[0]['scores'] == pytest.approx([1, 0], abs=1e-3) and results[2]['image'].endswith('dog/2.png')
    assert json.loads((tmp_path / 'out' / 'predictions.json').read_text()) == results
    assert len(list((tmp_path / 'out').glob('*.jpg'))) == 3 and 'dog 1.00, cat 0.00' in capsys.readouterr().out
    (prediction,) = predict(config, checkpoint, np.zeros((20, 30, 3), np.uint8), num_best=1)
    assert prediction.names == ['dog'] and type(model).__name__ == 'ImageClassifier'
    picture = Image.open(tmp_path / 'images' / 'cat' / '0.png').convert('L')
    (prediction,) = predict(config, checkpoint, picture, tmp_path / 'new' / 'one.png', num_best=1)
    assert prediction.names == ['dog'] and Image.open(tmp_path / 'new' / 'one.png').height > picture.height
    with pytest.raises(UserError, match='2 images cannot be written to one file'):
        predict(config, checkpoint, [picture, picture], tmp_path / 'new' / 'two.png')
    predict(config, checkpoint, [picture, picture], tmp_path / 'pair')
    assert sorted(path.name for path in (tmp_path / 'pair').iterdir()) == [
        'image_0.jpg', 'image_1.jpg', 'predictions.json',
    ]  # fmt: skip

    results = test_tool.main(
        [str(config), str(checkpoint), '--work-dir', str(tmp_path / 'run'), '--show-dir', str(tmp_path / 'show')]
    )
    assert results['top1'] == pytest.approx(100 / 3) and len(list((tmp_path / 'show').glob('*.jpg'))) == 3


@pytest.fixture(scope='module')
def detector(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, Path]:
    """A folder in VOC's layout, options and a checkpoint."""
    root = write_voc(tmp_path_factory.mktemp('voc') / 'data', ('WBC', 'RBC', 'Platelets'))
    options = shrunk(DETECTOR, root)
    save(DETECTOR, options, root / 'epoch_1.pth', classes=('WBC', 'RBC', 'Platelets'))
    return root, options, root / 'epoch_1.pth'


@pytest.fixture(scope='module')
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, Path]:
    """A folder in CamVid's layout, options and a checkpoint."""
    root = write_camvid(tmp_path_factory.mktemp('camvid') / 'data')
    options = shrunk(SEGMENTER, root)
    meta = load_config(SEGMENTER).train_dataloader.dataset.metainfo.to_dict()
    save(SEGMENTER, options, root / 'epoch_1.pth', **meta)
    return root, options, root / 'epoch_1.pth'


@needs_downstream
def test_a_detector_predicts_draws_and_is_shown(detector: tuple[Path, dict, Path], tmp_path: Path) -> None:
    from mmdet.apis import DetInferencer, inference_detector, init_detector

    root, options, checkpoint = detector
    image = str(root / 'JPEGImages' / 'image0.jpg')
    arguments = [str(DETECTOR), str(checkpoint), image, '--score', '0', '--out', str(tmp_path / 'out')]
    (result,) = tool.main([*arguments, '--cfg-options', *as_text(options)])
    assert len(result['boxes']) == len(result['scores']) == len(result['names']) > 0
    assert set(result['names']) <= {'WBC', 'RBC', 'Platelets'}
    assert Image.open(tmp_path / 'out' / 'image0.jpg').size == (SIZE, SIZE)

    cfg = load_config(DETECTOR, options)
    theirs = inference_detector(init_detector(cfg, str(checkpoint), device='cpu'), image).pred_instances
    assert theirs.scores.tolist() == pytest.approx(result['scores'], abs=1e-3)
    inferred = DetInferencer(load_config(DETECTOR, options), str(checkpoint), device='cpu', show_progress=False)(image)
    assert len(inferred['predictions'][0]['labels']) == len(result['names'])
    pixels = np.array(Image.open(image))
    (by_array,) = predict(DETECTOR, checkpoint, pixels, tmp_path / 'boxes.png', score=0, cfg_options=options)
    assert (np.array(Image.open(tmp_path / 'boxes.png')) != pixels).any()
    assert by_array.scores.tolist() == pytest.approx(result['scores'], abs=0.02)
    predictor = Predictor(DETECTOR, checkpoint, options)
    with DefaultScope.overwrite_default_scope('mmssl'):  # another model was loaded
        (after,) = predictor(pixels)
    assert after.above(0).scores.tolist() == by_array.scores.tolist()

    show = ['--work-dir', str(tmp_path / 'run'), '--show-dir', str(tmp_path / 'show'), '--cfg-options']
    test_tool.main([str(DETECTOR), str(checkpoint), *show, *as_text(options)])
    pictures = list((tmp_path / 'show').glob('*.jpg'))
    assert len(pictures) == 4 and Image.open(pictures[0]).size[0] == 2 * SIZE  # the annotation is beside it


@needs_downstream
def test_no_detection_is_said(detector: tuple[Path, dict, Path], tmp_path: Path) -> None:
    _, options, checkpoint = detector
    options = options | {key: 1.0 for key in options if key.endswith('score_thr')}
    run = ['--work-dir', str(tmp_path / 'run'), '--cfg-options', *as_text(options), 'model.test_cfg.rcnn.score_thr=1.0']
    test_tool.main([str(DETECTOR), str(checkpoint), *run])
    log = ''.join(file.read_text() for file in (tmp_path / 'run').glob('*/*.log'))
    assert 'no box in any of 4 images reached the score threshold of the model' in log


@needs_downstream
def test_a_segmenter_predicts_draws_and_is_shown(segmenter: tuple[Path, dict, Path], tmp_path: Path) -> None:
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    root, options, checkpoint = segmenter
    image = str(root / 'img' / 'val' / 'image1.jpg')
    arguments = [str(SEGMENTER), str(checkpoint), str(root / 'img' / 'val'), '--out', str(tmp_path / 'out')]
    results = tool.main([*arguments, '--cfg-options', *as_text(options)])
    assert len(results) == 4 and all(sum(result['shares'].values()) == pytest.approx(1, abs=0.01) for result in results)
    mask = np.array(Image.open(tmp_path / 'out' / 'image1_mask.png'))
    assert mask.shape == (SIZE, SIZE) and (tmp_path / 'out' / 'image1.jpg').is_file()

    model = init_model(load_config(SEGMENTER, options), str(checkpoint), device='cpu')
    np.testing.assert_array_equal(inference_model(model, image).pred_sem_seg.data[0].numpy(), mask)
    inferencer = MMSegInferencer(load_config(SEGMENTER, options), str(checkpoint), device='cpu')
    inferencer.show_progress = False  # mmseg 1.2.2 has no argument for it
    np.testing.assert_array_equal(inferencer(image)['predictions'], mask)

    show = ['--work-dir', str(tmp_path / 'run'), '--show-dir', str(tmp_path / 'show'), '--cfg-options']
    test_tool.main([str(SEGMENTER), str(checkpoint), *show, *as_text(options)])
    assert len(list((tmp_path / 'show').glob('*.jpg'))) == 4


@needs_downstream
def test_masks_of_a_detector_are_drawn(tmp_path: Path) -> None:
    root = write_coco(tmp_path / 'data')
    options = shrunk(MASK_DETECTOR, root) | {'model.test_cfg.rcnn.max_per_img': 3}
    save(MASK_DETECTOR, options, root / 'epoch_1.pth')
    predictor = Predictor(MASK_DETECTOR, root / 'epoch_1.pth', options)
    prediction = predictor.predict(str(root / 'val2017' / 'image0.jpg'))
    assert prediction.masks.shape == (len(prediction.boxes), SIZE, SIZE) and len(predictor.classes) == 80
    assert prediction.draw(np.zeros((SIZE, SIZE, 3), np.uint8)).any()


def test_mistakes(tmp_path: Path, fails: Callable[..., str]) -> None:
    config = ROOT / 'configs' / 'simclr' / 'simclr_resnet18_1xb512-200e_cifar10.py'
    write_images(tmp_path, ['a.png'])
    (tmp_path / 'x.pth').touch()
    assert 'predicts no classes; its features' in fails(tool.main, config, tmp_path / 'x.pth', tmp_path / 'a.png')
    image, file = tmp_path / 'a.png', tmp_path / 'file'
    file.write_text('')
    for out in (file, file / 'new'):
        message = fails(tool.main, config, tmp_path / 'x.pth', image, '--out', out)
        assert f'cannot be a folder, because {file} is a file' in message
    message = fails(tool.main, config, tmp_path / 'x.pth', image, '--out', 'new.png')
    assert "--out takes a folder, got 'new.png', the name of an image" in message
    for score in ('7', '-1', 'nan'):
        message = fails(tool.main, config, tmp_path / 'x.pth', image, f'--score={score}')
        assert 'score must be a number in [0, 1], got' in message
    with pytest.raises(UserError, match="score must be a number in .*, got '1'"):
        predict(config, tmp_path / 'x.pth', image, score='1')
    with pytest.raises(UserError, match='cannot be a folder'):
        predict(config, tmp_path / 'x.pth', image, file / 'new' / 'a.png')
    assert 'is neither an image file nor a folder' in fails(tool.main, config, tmp_path / 'x.pth', tmp_path / 'b.png')
    with pytest.raises(UserError, match='checkpoint .*none.pth.* does not exist'):
        Predictor(config, tmp_path / 'none.pth')
    assert list(list_images([tmp_path / 'a.png', str(tmp_path)])) == [str(tmp_path / 'a.png')] * 2


def test_pictures(tmp_path: Path) -> None:
    image = np.full((40, 60, 3), 200, np.uint8)
    boxes = Prediction(
        ('a', 'b'), torch.tensor([[2.0, 2, 20, 20], [5, 5, 30, 30]]), torch.tensor([0, 1]), torch.tensor([0.9, 0.2])
    )
    assert boxes.above(0.5).summary() == dict(names=['a'], scores=[0.9], boxes=[[2.0, 2.0, 20.0, 20.0]])
    drawn = boxes.draw(image)
    assert tuple(drawn[20, 2]) == boxes.colors[0] and drawn.shape == image.shape
    empty = Prediction(('a',), torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0))
    np.testing.assert_array_equal(empty.draw(image), image)
    labels = torch.zeros(40, 60, dtype=torch.long)
    labels[:, 30:], labels[:, 45:] = 1, 255
    segmented = Prediction(('a', 'b'), label_map=labels)
    assert segmented.summary() == dict(shares=dict(a=0.5, b=0.25))
    assert segmented.draw(image).shape == (70, 60, 3)  # a legend of two lines
    pair = side_by_side(drawn, segmented.draw(image), ('annotation', 'prediction'))
    assert pair.shape == (85, 120, 3)
    paths = [save_picture(pair, tmp_path, 'x/photo.png') for _ in range(2)]
    assert [path.name for path in paths] == ['photo.jpg', 'photo_2.jpg']
