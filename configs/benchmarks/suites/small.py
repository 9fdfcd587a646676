"""Three protocols for a ResNet-18 of half the width, within an hour on two CPU cores: three seeds, beside random init.

    python tools/benchmarks/run_suite.py CHECKPOINT --suite small --data-root DATA

DATA holds camvid/ and bccd/. The linear probe reads the data that the checkpoint's own config names.
"""

_single_process = [
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
]
protocols = dict(
    linear=dict(
        title='linear probe',
        metric='sweep_top1',
        command=[
            'tools/benchmarks/linear_probe.py',
            '{checkpoint}',
            '--num-seeds=1',
            '--seed={seed}',
            '--out={out}',
        ],
        pretrained=[],
        random=['--random-init'],
        resume=[],
    ),
    camvid=dict(
        title='Semantic FPN, CamVid',
        metric='mIoU',
        command=[
            'tools/train.py',
            'configs/benchmarks/mmsegmentation/fpn_r18_camvid.py',
            '--seed={seed}',
            '--work-dir={work_dir}',
            '--cfg-options',
            'data_root={data}/camvid',
            *_single_process,
        ],
    ),
    bccd=dict(
        title='Faster R-CNN, BCCD',
        metric='pascal_voc/mAP',
        scale=100.0,
        command=[
            'tools/train.py',
            'configs/benchmarks/mmdetection/faster-rcnn_r18-fpn_bccd.py',
            '--seed={seed}',
            '--work-dir={work_dir}',
            '--cfg-options',
            'data_root={data}/bccd',
            *_single_process,
        ],
    ),
)
