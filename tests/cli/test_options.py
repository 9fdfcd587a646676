"""How a tool ends: which errors are a user's, and which process prints them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.registry import Registry

from mmssl.cli import tool as cli
from mmssl.cli.options import add_trained_options, trained_options, whole_number
from mmssl.models.layers.pooling import to_vector
from mmssl.utils.errors import UserError, user_message


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('MMSSL_DEBUG', 'RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'):
        monkeypatch.delenv(name, raising=False)


def fail(error: Exception) -> None:
    @cli.tool
    def main() -> None:
        raise error

    main()


def test_a_users_mistake_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match='2'):
        fail(UserError('use 3 instead'))
    assert capsys.readouterr().err == 'error: use 3 instead\n'


@pytest.mark.parametrize('error', [ValueError('x'), KeyError('x'), RuntimeError('x'), TypeError('x')])
def test_what_nobody_expected_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        fail(error)


def test_a_value_error_of_mmssl_is_a_users_mistake() -> None:
    with pytest.raises(ValueError) as error:
        to_vector(torch.zeros(1, 2, 3))
    assert not isinstance(error.value, UserError) and user_message(error.value) == str(error.value)


def _own_code(text: str) -> Callable[[], None]:
    """A function of a module of mmssl, made of ``text``."""
    names: dict = dict(__name__='mmssl.made_up')
    exec(compile(text, str(Path(cli.__file__).parent / 'made_up.py'), 'exec'), names)
    return names['f']


@pytest.mark.parametrize(
    ('body', 'message'),
    [
        ("raise ValueError('size must be 1')", 'size must be 1'),
        ("raise FileNotFoundError('no images in x')", 'no images in x'),
        ("open('/no/such/file')", "'/no/such/file' does not exist"),
        ("raise ImportError('pip install x')", 'pip install x'),
        ('import no_such_module', None),
        ("int('12a')", None),
        ('a, b = [1]', None),
        ("[].index('x')", None),
        ("with open('/dev/null'): int('a')", None),
    ],
)
def test_only_what_mmssl_raises_on_purpose_is_a_message(body: str, message: str | None) -> None:
    with pytest.raises((ValueError, FileNotFoundError, ImportError)) as error:
        _own_code(f'def f():\n    {body}')()
    assert user_message(error.value) == message


@pytest.mark.parametrize('text', ['-1', '1.5', 'x'])
def test_a_seed_is_a_whole_number(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', type=whole_number)
    assert parser.parse_args(['--seed', '7']).seed == 7
    with pytest.raises(SystemExit):
        parser.parse_args([f'--seed={text}'])
    assert f"takes a whole number of at least 0, such as 7, got '{text}'" in capsys.readouterr().err


class _Broken(torch.utils.data.Dataset):
    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        if self.error is not None:
            raise self.error
        to_vector(torch.zeros(1, 2, 3))


@pytest.mark.parametrize('error', [None, ValueError('not mine')])
def test_an_error_in_a_worker_is_told_without_its_traceback(error: Exception | None) -> None:
    with pytest.raises(ValueError) as raised:
        next(iter(torch.utils.data.DataLoader(_Broken(error), num_workers=1)))
    message = user_message(raised.value)
    if error is None:
        assert message.startswith('expected a vector (N, D)') and 'Traceback' not in message
    else:
        assert message is None


def test_what_mmengine_says_while_it_builds_is_a_users_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    table = Registry('thing')

    @table.register_module()
    class Thing:
        def __init__(self, size: int) -> None: ...

    @cli.tool
    def main(**arguments: str) -> None:
        table.build(arguments)

    with pytest.raises(SystemExit):
        main(type='Thing')
    assert "missing 1 required positional argument: 'size'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(type='Thong')
    assert 'error: Thong is not in the' in capsys.readouterr().err


def test_other_processes_wait_and_say_who_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(cli.time, 'sleep', waited.append)
    monkeypatch.setenv('RANK', '3')
    with pytest.raises(SystemExit):
        fail(UserError('mine alone'))
    assert waited and capsys.readouterr().err == 'error on process 3: mine alone\n'


def trained(*argv: str) -> dict[str, dict]:
    parser = argparse.ArgumentParser()
    parser.add_argument('checkpoint')
    add_trained_options(parser)
    return trained_options(parser.parse_args(argv))


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
