"""A small ViT and a small HiViT in detectors and segmenters, on a CPU: three seeds, beside random initialisation.

    python tools/benchmarks/run_suite.py CHECKPOINT --suite transformers --protocols vit-bccd vit-camvid

``--data-root`` holds bccd/ and camvid/. CHECKPOINT is one of ``mae_caltech101.py`` of configs/demo; for one of
``itpn_caltech101.py`` the protocol is ``itpn-camvid``, and blood cells are in the suite ``pyramid``. The recipes are
cut to minutes: images of about 320 x 240 pixels, three epochs of blood cells and two of street scenes, a small head of
the detector, and for so few steps five times the learning rate.
"""

_run = ['--seed={seed}', '--work-dir={work_dir}', '--cfg-options']
_short = [
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
    'val_dataloader.dataset.pipeline.1.scale=(320,240)',
    'optim_wrapper.optimizer.lr=5e-4',
]
_blood_cells = [
    *_run,
    *_short,
    'data_root={data}/bccd',
    'train_dataloader.dataset.pipeline.2.scale=(320,240)',
    'model.roi_head.bbox_head.fc_out_channels=256',
    'max_epochs=3',
    'train_cfg.val_interval=3',
]
_streets = [
    *_run,
    *_short,
    'data_root={data}/camvid',
    'train_dataloader.dataset.pipeline.3.scale=(320,240)',
    'train_dataloader.dataset.pipeline.4.crop_size=(224,224)',
    'model.data_preprocessor.size=(224,224)',
    'max_epochs=2',
    'train_cfg.val_interval=2',
    'default_hooks.checkpoint.interval=2',
]
_detectors, _segmenters = 'configs/benchmarks/mmdetection', 'configs/benchmarks/mmsegmentation'
protocols = {
    'vit-bccd': dict(
        title='Faster R-CNN, BCCD',
        metric='pascal_voc/mAP',
        scale=100.0,
        command=['tools/train.py', f'{_detectors}/faster-rcnn_vit-tiny_bccd.py', *_blood_cells],
    ),
    'vit-camvid': dict(
        title='UPerNet, CamVid',
        metric='mIoU',
        command=['tools/train.py', f'{_segmenters}/upernet_vit-tiny_camvid.py', *_streets],
    ),
    'itpn-camvid': dict(
        title='UPerNet, CamVid',
        metric='mIoU',
        command=['tools/train.py', f'{_segmenters}/upernet_itpn-tiny_camvid.py', *_streets],
    ),
}
