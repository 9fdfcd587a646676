"""Everything about a run that is neither data nor method."""

runner_type = 'PretrainRunner'
default_scope = 'mmssl'

default_hooks = dict(
    logger=dict(type='LoggerHook', interval=50),
    checkpoint=dict(type='CheckpointHook', interval=10, max_keep_ckpts=3),
    unreadable_images=dict(type='UnreadableImagesHook'),
    interruption=dict(type='InterruptionHook', interval=10),
    same_weights=dict(type='SameWeightsHook', interval=500),
)
log_processor = dict(type='PretrainLogProcessor', window_size=50)
visualizer = dict(type='RunVisualizer', vis_backends=[dict(type='LocalVisBackend')])

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=1),
)
randomness = dict(seed=0)
