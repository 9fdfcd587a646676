from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.support.interruption import Interruption
from tests.support.tiny_run import build_runner, tiny_config


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(('stream', 'shown'), [(_Terminal, True), (io.StringIO, False)])
def test_a_terminal_gets_a_bar_and_a_file_does_not(tmp_path: Path, monkeypatch, stream: type, shown: bool) -> None:
    monkeypatch.setenv('TERM', 'xterm')
    out = stream()
    monkeypatch.setattr(sys, 'stdout', out)
    runner = build_runner(tiny_config(tmp_path, max_epochs=1, log_level='INFO'))
    handlers = [(handler, handler.stream) for handler in runner.logger.handlers]
    runner.train()
    assert ('6/6' in out.getvalue() and 'epoch 1' in out.getvalue()) == shown
    assert all(handler.stream is stream for handler, stream in handlers)


def test_an_error_leaves_no_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setattr(sys, 'stdout', out := _Terminal())
    stop = dict(type='StopRunHook', iteration=2)
    runner = build_runner(tiny_config(tmp_path, log_level='INFO', custom_hooks=[stop]))
    streams = [handler.stream for handler in runner.logger.handlers]
    with pytest.raises(Interruption):
        runner.train()
    assert sys.stdout is out and [handler.stream for handler in runner.logger.handlers] == streams
