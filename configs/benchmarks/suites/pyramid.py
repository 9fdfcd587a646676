"""What a pre-trained pyramid adds to a pre-trained backbone, in detectors of blood cells on a CPU: three seeds.

    python tools/benchmarks/run_suite.py CHECKPOINT --suite pyramid --protocols resim resim-backbone --data-root DATA

DATA holds bccd/. CHECKPOINT is one of ``resim_caltech101.py`` of configs/demo; for one of ``itpn_caltech101.py`` the
protocols are ``itpn itpn-backbone``. Both protocols of a method train the same detector, and so their runs on random
initialisation have the same results; in ``-backbone`` the pyramid begins at random. iTPN's detector is cut to minutes:
images of half the size, three epochs, a small head, and for so few steps five times the learning rate.
"""

_run = ['--seed={seed}', '--work-dir={work_dir}', '--cfg-options', 'data_root={data}/bccd']
_single_process = [
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
]
_resim = ['tools/train.py', 'configs/benchmarks/mmdetection/faster-rcnn_resim-r18_bccd.py', *_run, *_single_process]
_minutes = [
    'train_dataloader.dataset.pipeline.2.scale=(320,240)',
    'val_dataloader.dataset.pipeline.1.scale=(320,240)',
    'model.roi_head.bbox_head.fc_out_channels=256',
    'optim_wrapper.optimizer.lr=5e-4',
    'max_epochs=3',
    'train_cfg.val_interval=3',
]
_itpn = [
    'tools/train.py',
    'configs/benchmarks/mmdetection/faster-rcnn_itpn-tiny_bccd.py',
    *_run,
    *_single_process,
    *_minutes,
]
_metric = dict(metric='pascal_voc/mAP', scale=100.0)
_backbone_alone = dict(
    pretrained=['model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint={checkpoint}'],
)
protocols = {
    'resim': dict(title='BCCD, backbone and pyramid', command=_resim, **_metric),
    'resim-backbone': dict(title='BCCD, backbone alone', command=_resim, **_backbone_alone, **_metric),
    'itpn': dict(title='BCCD, backbone and pyramid', command=_itpn, **_metric),
    'itpn-backbone': dict(title='BCCD, backbone alone', command=_itpn, **_backbone_alone, **_metric),
}
