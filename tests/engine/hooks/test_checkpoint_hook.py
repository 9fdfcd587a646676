from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

from mmssl.engine.hooks.checkpoint import CheckpointHook
from mmssl.engine.hooks.progress_bar import ProgressBarHook
from mmssl.engine.transfer_runner import TransferRunner
from mmssl.utils.errors import UserError
from tests.support.tiny_run import build_runner, tiny_config, train


def _names(folder: Path, pattern: str = '*.pth*') -> list[str]:
    return sorted(file.name for file in folder.glob(pattern))


def test_the_new_checkpoint_is_whole_before_an_old_one_goes(tmp_path: Path, monkeypatch) -> None:
    hook = dict(type='CheckpointHook', interval=1, max_keep_ckpts=1)
    runner = build_runner(tiny_config(tmp_path, default_hooks=dict(checkpoint=hook)))
    save, seen = runner.save_checkpoint, []

    def watch(*args, **kwargs) -> None:
        save(*args, **kwargs)
        seen.append(_names(tmp_path, 'epoch_?.pth'))

    monkeypatch.setattr(runner, 'save_checkpoint', watch)
    runner.train()
    assert seen == [['epoch_1.pth'], ['epoch_1.pth', 'epoch_2.pth'], ['epoch_2.pth', 'epoch_3.pth']]
    assert _names(tmp_path) == ['epoch_3.pth', 'epoch_3_backbone.pth']
    meta = torch.load(tmp_path / 'epoch_3_backbone.pth', weights_only=True)['meta']
    assert meta['checkpoint'] == 'epoch_3.pth' and meta['backbone'] == runner.cfg.model.backbone.to_dict()
    assert (meta['epoch'], meta['iter']) == (3, 18)  # those of the checkpoint, also within an epoch
    runner.save_checkpoint(str(tmp_path), 'iter_19.pth', by_epoch=False)
    files = [torch.load(tmp_path / f'iter_19{end}.pth', weights_only=False)['meta'] for end in ('', '_backbone')]
    assert [file['iter'] for file in files] == [19, 19]
    assert meta['data_preprocessor'] == runner.cfg.model.data_preprocessor.to_dict()


def test_the_backbone_file_is_the_backbone_of_the_checkpoint_after_every_hook(tmp_path: Path) -> None:
    average = dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.5)
    runner = train(tiny_config(tmp_path, max_epochs=1, custom_hooks=[average]))
    whole = torch.load(tmp_path / 'iter_6.pth', weights_only=False)
    alone = torch.load(tmp_path / 'iter_6_backbone.pth', weights_only=True)['state_dict']
    saved = {key.removeprefix('backbone.'): v for key, v in whole['state_dict'].items() if key.startswith('backbone.')}
    assert alone.keys() == saved.keys() == runner.algorithm.backbone.state_dict().keys()
    assert all(torch.equal(alone[key], saved[key]) for key in saved)
    raw = whole['ema_state_dict']  # where the hook has put the weights that it averages
    assert not torch.equal(raw['module.backbone.conv1.weight'], alone['conv1.weight'])
    runner.save_backbone(tmp_path / 'backbone.pth')  # as at the end of a stage
    of_stage = torch.load(tmp_path / 'backbone.pth', weights_only=True)['state_dict']
    assert all(torch.equal(of_stage[key], alone[key]) for key in alone)


def test_rests_of_a_killed_run_go(tmp_path: Path) -> None:
    (tmp_path / 'iter_4.pth.tmp').write_bytes(b'half')
    train(tiny_config(tmp_path, max_epochs=1))
    assert not _names(tmp_path, '*.tmp')


def test_a_lower_limit_removes_backbones_with_their_checkpoints(tmp_path: Path) -> None:
    for max_epochs, limit in ((3, 3), (4, 2)):
        hook = dict(type='CheckpointHook', interval=1, max_keep_ckpts=limit)
        train(tiny_config(tmp_path, max_epochs=max_epochs, resume=True, default_hooks=dict(checkpoint=hook)))
    assert _names(tmp_path) == ['epoch_3.pth', 'epoch_3_backbone.pth', 'epoch_4.pth', 'epoch_4_backbone.pth']


def test_the_best_checkpoint_and_its_backbone_go_together(tmp_path: Path, monkeypatch) -> None:
    hook = dict(type='CheckpointHook', interval=1, max_keep_ckpts=1, save_best='score', rule='greater')
    runner = build_runner(tiny_config(tmp_path, max_epochs=2, default_hooks=dict(checkpoint=hook)))
    checkpoints = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    scores, save, seen = iter([0.5, 0.7]), runner.save_checkpoint, []

    def watch(out_dir: str, filename: str, *args, **kwargs) -> None:
        save(out_dir, filename, *args, **kwargs)
        seen.append(_names(tmp_path, 'best_score_epoch_?.pth'))

    monkeypatch.setattr(runner, 'save_checkpoint', watch)

    def validate() -> None:
        checkpoints.after_val_epoch(runner, dict(score=next(scores)))

    monkeypatch.setattr(runner.train_loop, '_decide_current_val_interval', validate)
    runner.train()
    assert ['best_score_epoch_1.pth', 'best_score_epoch_2.pth'] in seen, 'the old one stays until the new one is whole'
    best = ['best_score_epoch_2.pth', 'best_score_epoch_2_backbone.pth']
    assert _names(tmp_path) == [*best, 'epoch_2.pth', 'epoch_2_backbone.pth']
    resumed = build_runner(tiny_config(tmp_path, max_epochs=3, resume=True, default_hooks=dict(checkpoint=hook)))
    resumed.train()
    assert resumed.message_hub.get_info('best_score') == 0.7
    assert _names(tmp_path) == [*best, 'epoch_3.pth', 'epoch_3_backbone.pth']


def test_the_best_within_an_epoch_leaves_the_checkpoints_of_epochs_alone(tmp_path: Path) -> None:
    hook = dict(type='CheckpointHook', interval=1, save_best='score', rule='greater')
    cfg = tiny_config(tmp_path, train_cfg=dict(max_iters=18), default_hooks=dict(checkpoint=hook))
    cfg.pop('max_epochs')
    runner = build_runner(cfg)
    checkpoints = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    run_iter = runner.train_loop.run_iter

    def run_and_validate(*args) -> None:
        run_iter(*args)
        if runner.iter in (4, 8):
            checkpoints.after_val_epoch(runner, dict(score=runner.iter))

    runner.train_loop.run_iter = run_and_validate
    runner.train()
    best = ['best_score_iter_8.pth', 'best_score_iter_8_backbone.pth']
    epochs = [f'epoch_{epoch}{end}.pth' for epoch in (1, 2, 3) for end in ('', '_backbone')]
    assert _names(tmp_path) == [*best, *epochs]
    for epoch in (1, 2, 3):
        assert torch.load(tmp_path / f'epoch_{epoch}.pth', weights_only=False)['meta']['iter'] == 6 * epoch


@pytest.mark.parametrize(
    ('option', 'message'), [('max_keep_ckpt', "did you mean 'max_keep_ckpts'"), ('backend_args', 'writes to a folder')]
)
def test_unknown_arguments_are_refused_before_the_run(option: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        CheckpointHook(**{option: dict(backend='petrel')})


def test_detectors_get_the_same_hook() -> None:
    runner = object.__new__(TransferRunner)
    runner._hooks = []
    with DefaultScope.overwrite_default_scope('mmengine'):
        runner.register_default_hooks(dict(checkpoint=dict(type='CheckpointHook', max_keep_ckpts=1), progress=None))
    (hook,) = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    assert hook.max_keep_ckpts == 1 and not any(isinstance(hook, ProgressBarHook) for hook in runner.hooks)


@pytest.mark.parametrize(('interval', 'warned'), [(4, False), (3, True)])
def test_warns_when_checkpoints_fall_between_steps(tmp_path: Path, interval: int, warned: bool) -> None:
    optim_wrapper = dict(
        type='MixedPrecisionOptimWrapper',
        dtype=None,
        accumulative_counts=2,
        optimizer=dict(type='SGD', lr=0.1),
    )
    hook = dict(type='CheckpointHook', by_epoch=False, interval=interval)
    cfg = tiny_config(tmp_path, max_epochs=1, optim_wrapper=optim_wrapper, default_hooks=dict(checkpoint=hook))
    runner = train(cfg)
    log = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert ('a resumed run loses the gradient' in log) == warned
