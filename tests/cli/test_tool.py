"""How a tool ends: which errors are a user's, and which process prints them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.registry import Registry

from mmssl.cli import tool as cli
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
        ("open('/dev')", "'/dev' cannot be read or written (Is a directory): change that, or give another path"),
        (
            "raise FileExistsError(17, 'File exists', '/x')",  # a folder is wanted where there is a file
            "'/x' cannot be read or written (File exists): change that, or give another path",
        ),
        (
            "raise PermissionError(13, 'No', '/x')",
            "'/x' cannot be read or written (No): change that, or give another path",
        ),
        (
            "with open('/dev/full', 'w') as file: file.write('a')",
            'a file cannot be written (No space left on device): free space, or write to another disk; a training '
            'continues at its last checkpoint with --resume',
        ),
    ],
)
def test_only_what_mmssl_raises_on_purpose_is_a_message(body: str, message: str | None) -> None:
    with pytest.raises((ValueError, OSError, ImportError)) as error:
        _own_code(f'def f():\n    {body}')()
    assert user_message(error.value) == message


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
    batches = iter(torch.utils.data.DataLoader(_Broken(error), num_workers=1))
    with pytest.raises(ValueError) as raised:
        next(batches)
    batches._shutdown_workers()  # the error refers to them: garbage collection would wait for each worker for 5 s
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
