"""Roles share one table, remember their members, and are found by mmdet and mmseg without further imports."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from mmengine import registry as mmengine_registry
from mmengine.registry import DefaultScope, Registry
from torch import nn

import mmssl.models  # noqa: F401  # registers the parts
from mmssl import registry
from mmssl.registry import BACKBONES, LOSSES, MODELS, ROLES
from tests.support.fresh_python import run_python


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Forgets what a test registers."""
    tables = [MODELS.module_dict, *(role.members for role in ROLES.values())]
    before = [dict(table) for table in tables]
    yield
    for table, content in zip(tables, before):
        table.clear()
        table.update(content)


def test_a_role_registers_in_the_one_table_and_remembers_its_member() -> None:
    @LOSSES.register_module()
    class Half(nn.Module):
        def __init__(self, factor: float = 0.5) -> None:
            super().__init__()
            self.factor = factor

    assert MODELS.get('Half') is Half and LOSSES.members['Half'] is Half
    assert 'Half' not in BACKBONES.members
    assert LOSSES.build(dict(type='Half', factor=2.0)).factor == 2.0


def test_one_class_may_fill_two_roles_under_another_name() -> None:
    @LOSSES.register_module('Other')
    class Thing(nn.Module):
        pass

    assert LOSSES.members['Other'] is Thing and MODELS.get('Other') is Thing
    assert 'Thing' not in LOSSES.members


def test_a_name_is_taken_once_unless_forced() -> None:
    LOSSES.register_module('Twice')(nn.Identity)
    with pytest.raises(KeyError, match='Twice'):
        LOSSES.register_module('Twice')(nn.ReLU)
    assert LOSSES.members['Twice'] is nn.Identity
    LOSSES.register_module('Twice', force=True)(nn.ReLU)
    assert LOSSES.members['Twice'] is MODELS.get('Twice') is nn.ReLU


def test_roles_are_listed_by_their_names() -> None:
    parts = {'algorithm', 'backbone', 'neck', 'head', 'loss', 'target', 'masker', 'tokenizer', 'component', 'layer'}
    assert set(ROLES) == parts | {'preprocessor'}
    assert all(role.name == name for name, role in ROLES.items())


def test_no_part_of_a_model_has_more_than_ten_arguments() -> None:
    """Arguments that belong together are a dict, a special case is a class; those of MMEngine's base do not count."""
    long = {}
    for name, cls in ((name, cls) for role in ROLES.values() for name, cls in role.members.items()):
        named = [
            p for p in inspect.signature(cls).parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
        names = [p.name for p in named if p.name != 'init_cfg']
        if len(names) > 10:
            long[name] = names
    assert len(BACKBONES.members) > 10 and not long


def test_every_table_is_a_child_of_mmengines_in_the_scope_mmssl() -> None:
    tables = {name: table for name, table in vars(registry).items() if isinstance(table, Registry)}
    for name in ('STEPS', 'LABELLERS'):  # which MMEngine does not have
        assert tables.pop(name).scope == 'mmssl'
    assert len(tables) == 18
    for name, table in tables.items():
        parent = getattr(mmengine_registry, 'EVALUATOR' if name == 'EVALUATORS' else name)
        assert table.scope == 'mmssl' and table.parent is parent and parent.children['mmssl'] is table


@pytest.mark.parametrize('scope', ['mmengine', 'mmssl', 'mmdet'])
def test_a_name_of_a_role_means_the_class_of_mmssl_in_every_scope(scope) -> None:
    with DefaultScope.overwrite_default_scope(scope):
        backbone = BACKBONES.build(dict(type='ResNet', depth=18, width=0.25))
    assert type(backbone).__module__.startswith('mmssl.')


def test_a_scoped_type_is_found_without_importing_mmssl() -> None:
    """What an mmdet or mmseg config with ``type='mmssl.ResNet'`` relies on."""
    code = (
        'from mmengine.registry import MODELS\n'
        "other = type(MODELS)('model', parent=MODELS, scope='detector')\n"
        "print(type(other.build(dict(type='mmssl.ResNet', depth=18))).__module__)"
    )
    run = run_python('-c', code)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[-1] == 'mmssl.models.backbones.resnet'
