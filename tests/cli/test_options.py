"""Options that tools share: what a command line means."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mmssl.cli import options as cli
from mmssl.utils.errors import UserError


@pytest.mark.parametrize('text', ['-1', '1.5', 'x'])
def test_a_seed_is_a_whole_number(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', type=cli.whole_number)
    assert parser.parse_args(['--seed', '7']).seed == 7
    with pytest.raises(SystemExit):
        parser.parse_args([f'--seed={text}'])
    assert f"takes a whole number of at least 0, such as 7, got '{text}'" in capsys.readouterr().err


def trained(*argv: str) -> dict[str, dict]:
    parser = argparse.ArgumentParser()
    parser.add_argument('checkpoint')
    cli.add_trained_options(parser)
    return cli.trained_options(parser.parse_args(argv))


def test_checkpoints_are_called_by_as_much_of_their_paths_as_tells_them_apart() -> None:
    assert list(trained('runs/a/epoch_9.pth')) == ['epoch_9']
    assert list(trained('a/epoch_9.pth', '--compare', 'a/epoch_10.pth')) == ['epoch_9', 'epoch_10']
    assert list(trained('runs/a/x.pth', '--compare', 'runs/b/x.pth', 'y.pth')) == ['a/x', 'b/x', 'y']
    assert list(trained('a.pth', '--compare', 'b.pth', '--names', 'CARE', 'BYOL')) == ['CARE', 'BYOL']


def test_one_config_serves_all_checkpoints_or_each_has_its_own() -> None:
    def configs(*argv: str) -> list[str | None]:
        return [options['config'] for options in trained('a.pth', '--compare', 'b.pth', *argv).values()]

    assert configs() == [None, None]
    assert configs('--config', 'x.py') == ['x.py', 'x.py']
    assert configs('--config', 'x.py', 'y.py') == ['x.py', 'y.py']
    assert trained('a.pth', '--prefix', 'teacher.backbone', '--cfg-options', 'b=1')['a'] == dict(
        checkpoint='a.pth', config=None, prefix='teacher.backbone', cfg_options=dict(b=1)
    )


@pytest.mark.parametrize(
    'argv',
    [
        ['a.pth', '--compare', 'a.pth'],
        ['a.pth', '--names', 'x', 'y'],
        ['a.pth', '--config', 'x.py', 'y.py'],
        ['a.pth', '--compare', 'b.pth', '--names', 'x', 'x'],
    ],
)
def test_titles_and_configs_that_do_not_fit_the_checkpoints(argv: list[str]) -> None:
    with pytest.raises(UserError, match='checkpoints need as many different titles'):
        trained(*argv)


@pytest.mark.parametrize(
    ('argv', 'dtype'),
    [([], None), (['--amp'], 'bfloat16'), (['--amp', 'bf16'], 'bfloat16'), (['--amp', 'fp16'], 'float16')],
)
def test_mixed_precision_is_the_name_of_a_type(argv: list[str], dtype: str | None) -> None:
    parser = argparse.ArgumentParser()
    cli.add_amp_option(parser)
    assert parser.parse_args(argv).amp == dtype


def test_results_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    cli.write_json(dict(a=1), None)
    cli.write_json(dict(a=1), tmp_path / 'new' / 'a.json')
    assert json.loads((tmp_path / 'new' / 'a.json').read_text()) == dict(a=1)


def test_a_run_is_changed_before_it_is_checked(tmp_path: Path) -> None:
    config = tmp_path / 'a.py'
    config.write_text('wrong_key = 1')
    with pytest.raises(UserError, match="unknown top-level key 'wrong_key'"):
        cli.load_run(str(config))
    assert cli.load_run(str(config), change=lambda cfg: cfg.pop('wrong_key')).default_scope == 'mmssl'


@pytest.mark.parametrize('kind', [cli.output_file, cli.figure_file])
def test_a_file_is_checked_before_the_work(
    kind: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'folder.png').mkdir()
    (tmp_path / 'file').write_text('')
    parser = argparse.ArgumentParser()
    parser.add_argument('--out', type=kind, default='new/a.png')
    assert parser.parse_args([]).out == 'new/a.png' and parser.parse_args(['--out', 'b.svg']).out == 'b.svg'
    assert not (tmp_path / 'new').exists()
    for text, message in {
        'folder.png': "takes the path of a file, got 'folder.png', which is a folder",
        'file/new/a.png': f"'file/new/a.png' cannot be written, because {tmp_path / 'file'} is a file",
    }.items():
        with pytest.raises(SystemExit):
            parser.parse_args(['--out', text])
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(('kind', 'text'), [('figure_file', 'a.abc'), ('figure_file', 'a'), ('output_file', '')])
def test_a_figure_has_the_ending_of_a_picture(kind: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('--out', type=getattr(cli, kind))
    with pytest.raises(SystemExit):
        parser.parse_args([f'--out={text}'])
    message = capsys.readouterr().err
    assert 'argument --out: takes a file that ends in .png, .jpg' in message or 'got an empty string' in message


@pytest.mark.parametrize('text', ['0', '-1', '1.5', 'many', ''])
def test_a_count_is_at_least_one(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('--size', type=cli.count)
    with pytest.raises(SystemExit):
        parser.parse_args([f'--size={text}'])
    assert f'takes a whole number of at least 1, such as 7, got {text!r}' in capsys.readouterr().err
    assert parser.parse_args(['--size', '12']).size == 12
