"""The commit that a measurement belongs to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import mmssl.profiling.machine
from mmssl.profiling.machine import source_commit


def test_commit_of_a_clone_and_of_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / 'mmssl' / 'profiling' / 'machine.py'
    module.parent.mkdir(parents=True)
    module.touch()
    monkeypatch.setattr(mmssl.profiling.machine, '__file__', str(module))
    assert source_commit() is None
    git = ['git', '-C', str(tmp_path), '-c', 'user.name=a', '-c', 'user.email=a@b']
    for command in (['init', '-q'], ['add', '.'], ['commit', '-qm', 'Add'], ['tag', '-a', 'v1', '-m', 'v1']):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run([*git, 'rev-parse', 'HEAD'], check=True, capture_output=True, text=True).stdout.strip()
    found = source_commit()
    assert found is not None and commit.startswith(found), 'the commit, not the tag'
    module.write_text('changed')
    assert source_commit() == f'{found}-dirty'
