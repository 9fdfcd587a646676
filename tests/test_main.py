"""The command ``mmssl``: its words, and how it starts several processes. What its commands do: test_wheel.py."""

from __future__ import annotations

import sys

import pytest

from mmssl.__main__ import main
from mmssl.config.recipes import select_recipes
from mmssl.version import __version__


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, 'argv', ['mmssl', *words])
    main()


def test_words_that_are_no_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (['trian'], "'trian'; did you mean 'train'?"),
        (['train', 'x', '--gpus', '0'], "got '0'"),
        (['train'], 'CONFIG'),
        (['predict'], 'mmssl predict CONFIG CHECKPOINT IMAGES'),
    ):
        with pytest.raises(SystemExit, match='2'):
            run(monkeypatch, *words)
        assert message in capsys.readouterr().err
    run(monkeypatch, '--version')
    assert capsys.readouterr().out.strip() == __version__


def test_a_command_runs_its_tool_under_its_own_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, 'recipes', 'simclr_photos', '--paths')
    assert capsys.readouterr().out.strip().endswith('configs/demo/simclr_photos.py')
    with pytest.raises(SystemExit, match='0'):
        run(monkeypatch, 'convert', '--help')
    printed = capsys.readouterr().out
    assert 'usage: mmssl convert' in printed and 'onnx' in printed


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['simclr'], f"no recipe matches 'simclr'; {len(select_recipes('*simclr*'))} recipes match '*simclr*'"),
        (['simcrl*'], "no recipe matches 'simcrl*'; did you mean 'simclr'"),
        (['mae*', '--dataset', 'nowhere'], "no recipe matches 'mae*' with the dataset 'nowhere'"),
        (['nothing like it'], 'list all names with: mmssl recipes'),
    ],
)
def test_patterns_that_no_recipe_matches(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match='2'):
        run(monkeypatch, 'recipes', *words)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('words', [['--gpus', '2', 'x', '--amp'], ['x', '--gpus=2', '--amp']])
def test_several_processes(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr('mmssl.distributed.torchrun.run', lambda: started.append(sys.argv))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    run(monkeypatch, 'train', *words)
    ((_, *options, tool, config, amp, launcher, name),) = started
    assert options == ['--standalone', '--nproc-per-node', '2'] and tool.endswith('.mim/tools/train.py')
    assert [config, amp, launcher, name] == ['x', '--amp', '--launcher', 'pytorch']
