"""Which backend joins the processes."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config

from mmssl.utils import launch


@pytest.mark.parametrize(
    ('scope', 'gpus', 'backend'), [('mmdet', 0, 'gloo'), ('mmseg', 0, 'gloo'), ('mmdet', 1, 'nccl'), ('mmssl', 0, None)]
)
def test_configs_of_mmdet_and_mmseg_run_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch, scope: str, gpus: int, backend: str | None
) -> None:
    joined: list[str] = []
    monkeypatch.setattr(launch, 'init_dist', lambda launcher, backend: joined.append(backend))
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
    for name in ('RANK', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '0')
    cfg = Config(dict(default_scope=scope, env_cfg=dict(dist_cfg=dict(backend='nccl'))))
    if backend is None:
        with pytest.raises(launch.UserError, match='needs a GPU, and torch sees none'):
            launch.join_processes(cfg, 'pytorch')
    else:
        launch.join_processes(cfg, 'pytorch')
        assert joined == [backend] == [cfg.env_cfg.dist_cfg.backend]
