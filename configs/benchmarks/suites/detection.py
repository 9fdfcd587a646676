"""Two detectors for a ResNet-18 of half the width, on a CPU: three seeds, beside random initialisation.

    python tools/benchmarks/run_suite.py CHECKPOINT --suite detection --data-root DATA

DATA holds bccd/ and coco_small/. It was made to compare dense pre-training with that of whole images: checkpoints of
``densecl_caltech101.py``, ``resim_caltech101.py`` and ``mocov2_caltech101.py`` of configs/demo.
"""

_recipe = 'configs/benchmarks/mmdetection/faster-rcnn_r18-fpn'
_run = ['--seed={seed}', '--work-dir={work_dir}', '--cfg-options']
_single_process = [
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
]
protocols = dict(
    bccd=dict(
        title='Faster R-CNN, BCCD',
        metric='pascal_voc/mAP',
        scale=100.0,
        command=['tools/train.py', f'{_recipe}_bccd.py', *_run, 'data_root={data}/bccd', *_single_process],
    ),
    person=dict(
        title='Faster R-CNN, persons of the COCO subset',
        metric='coco/bbox_mAP_50',
        scale=100.0,
        command=['tools/train.py', f'{_recipe}_coco-small.py', *_run, 'data_root={data}/coco_small', *_single_process],
    ),
)
