"""The text of a config is that of MMEngine, and made anew after a change alone."""

from __future__ import annotations

import pickle
from copy import deepcopy

import pytest
from mmengine.config import Config
from yapf.yapflib import yapf_api

from mmssl.config.run_config import RunConfig


def test_a_config_is_formatted_after_a_change_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    formatted = []
    monkeypatch.setattr(yapf_api, 'FormatCode', lambda text, **style: (formatted.append(text) or text, False))
    plain = Config(dict(model=dict(type='SimCLR', sizes=[1, 2])))
    cfg = RunConfig.of(plain)
    assert [cfg.pretty_text, cfg.dump(), deepcopy(cfg).pretty_text] == [formatted[0]] * 3 and len(formatted) == 1
    cfg.model.sizes.append(3)
    assert '3,' in cfg.pretty_text and len(formatted) == 2
    assert plain.pretty_text == pickle.loads(pickle.dumps(cfg)).pretty_text == cfg.pretty_text
