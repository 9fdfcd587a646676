"""Configs: loading, and what is found wrong in them."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import Registry
from torch import nn

from mmssl import registry
from mmssl.config.check import accepted_arguments, check_config
from mmssl.config.compilation import block_compile_options
from mmssl.config.load import copy_config, load_config
from mmssl.config.paths import missing_paths, missing_target_weights
from mmssl.config.text import read_config_text
from mmssl.utils.errors import UserError, did_you_mean
from tests.support.fresh_python import run_python


def problems(**cfg: object) -> str:
    """The message about a config, empty when nothing is wrong."""
    try:
        check_config(Config(dict(default_scope='mmssl') | cfg))
    except UserError as error:
        return str(error)
    return ''


def test_keys_that_are_no_text() -> None:
    assert problems(model=dict(type='no.such.Part', plan={0: dict(steps=[1]), 1: 2})).startswith('model.type: no model')


def test_weights_of_timm_are_no_missing_file() -> None:
    names = ['resnet18', 'resnet18.a1_in1k', 'resnet18.pth', 'resnet18.no_tag']
    hooks = [dict(type='TransferHook', checkpoint=name) for name in names]
    said = problems(custom_hooks=hooks, step=dict(type='ClusterFeatures', checkpoint='resnet18'))
    assert [name for name in names if f'{name!r} does not exist' in said] == names[2:]
    assert "'resnet18' does not exist" in problems(model=dict(type='SimCLR', init_cfg=dict(checkpoint='resnet18')))


def test_paths_become_text(tmp_path: Path) -> None:
    text = "import pathlib\nload_from = pathlib.Path('a b')\n_x = dict(y=[pathlib.Path('c')])\n"
    (tmp_path / 'c.py').write_text(text)
    options = {'model.target': dict(files=(Path('d'),)), 'work_dir': Path('e')}
    for cfg in (load_config(tmp_path / 'c.py', options), copy_config(Config.fromfile(tmp_path / 'c.py'), options)):
        assert (cfg.load_from, cfg._x.y, cfg.work_dir) == ('a b', ['c'], 'e')
        assert read_config_text(cfg.pretty_text, 'c.py').model.target.files == ('d',)
    assert options['model.target'] == dict(files=(Path('d'),))


def test_scope_and_runner_are_filled_in(tmp_path: Path) -> None:
    (tmp_path / 'c.py').write_text('max_epochs = 1')
    cfg = load_config(tmp_path / 'c.py', {'max_epochs': 3, 'model.type': 'SimCLR'})
    assert (cfg.default_scope, cfg.runner_type, cfg.max_epochs, cfg.model.type) == (
        'mmssl', 'PretrainRunner', 3, 'SimCLR',
    )  # fmt: skip
    (tmp_path / 'd.py').write_text("default_scope = 'mmdet'")
    assert 'runner_type' not in load_config(tmp_path / 'd.py')


def test_data_root_moves_every_dataset(tmp_path: Path) -> None:
    (tmp_path / 'c.py').write_text(
        "train_dataloader = dict(dataset=dict(data_root='data/in/train'))\n"
        "val_cfg = dict(bank_dataloader=dict(dataset=dict(data_root='data/in/val')))"
    )
    cfg = load_config(tmp_path / 'c.py', {'data_root': '/mine'})
    assert cfg.train_dataloader.dataset.data_root == '/mine/train'
    assert cfg.val_cfg.bank_dataloader.dataset.data_root == '/mine/val'


def test_a_data_root_that_nothing_reads_is_refused() -> None:
    """The photographs of the demo come with a package, so the option would leave them in place."""
    with pytest.raises(UserError, match='data_root=/mine changes nothing: .* --images'):
        load_config('simclr_photos', {'data_root': '/mine'})


def test_one_data_root_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / 'c.py').write_text("train_dataloader = dict(dataset=dict(data_root='data/in'))")
    assert load_config(tmp_path / 'c.py', {'data_root': '/mine'}).train_dataloader.dataset.data_root == '/mine'


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('model = dict(', 'SyntaxError'),
        ("_base_ = 'nothing.py'", 'nothing.py'),
        ("custom_imports = dict(imports=['no_such_module'], allow_failed_imports=False)", "No module named 'no_such"),
    ],
)
def test_files_that_cannot_be_loaded(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / 'c.py').write_text(text)
    with pytest.raises(UserError, match='cannot be loaded') as error:
        load_config(tmp_path / 'c.py')
    assert expected in str(error.value)


def test_a_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / 'simclr.py').write_text('')
    with pytest.raises(UserError, match=r"did you mean '.*simclr\.py'"):
        load_config(tmp_path / 'simclir.py')
    (tmp_path / 'below').mkdir()
    (tmp_path / 'simclr.py').rename(tmp_path / 'below' / 'simclr.py')  # below it lie perhaps a million images
    with pytest.raises(UserError, match=r"simclir\.py' does not exist(?!.*below)"):
        load_config(tmp_path / 'simclir.py')


@pytest.mark.parametrize('key', ['max_epochs', 'sync_bn', '_view', 'data_root', 'env_cfg', 'auto_scale_lr'])
def test_known_keys_and_variables(key: str) -> None:
    assert problems(**{key: None}) == ''


def test_keys() -> None:
    assert "'max_epoch'; did you mean 'max_epochs'" in problems(max_epoch=1)
    assert "'lr_config'; MMEngine's name for it is param_scheduler" in problems(lr_config={})
    assert '_my_number' in problems(my_number=1)
    assert problems(my_number=1, default_scope='mmdet') == ''
    assert "did you mean 'train_dataloader'" in problems(train_dataloder=1, default_scope='mmdet')


@pytest.mark.parametrize(
    ('cfg', 'expected'),
    [
        (dict(model=dict(type='SimCRL')), "model.type: no model is called 'SimCRL'; did you mean 'SimCLR'?"),
        (dict(model=dict(backbone=dict(type='ResNt'))), "model.backbone.type: no model is called 'ResNt'"),
        (
            dict(train_dataloader=dict(dataset=dict(type='X'))),
            "train_dataloader.dataset.type: no dataset is called 'X'",
        ),
        (dict(val_evaluator=[dict(type='WeightedKN')]), "val_evaluator.0.type: no metric is called 'WeightedKN'"),
        (dict(val_evaluator=dict(type='Evaluator', metrics=[dict(type='Nope')])), 'metrics.0.type: no metric is'),
        (dict(custom_hooks=[dict(type='ResNet')]), "no hook is called 'ResNet'; it is a model"),
        (dict(optim_wrapper=dict(constructor='Nope')), 'optim_wrapper.constructor: no optimizer wrapper constructor'),
        (dict(runner_type='PretrainRuner'), "did you mean 'PretrainRunner'"),
        (dict(model=dict(type='mmssl.Nope')), "'mmssl.Nope'"),
        (dict(model=dict(depth=18)), 'model: type is missing'),
    ],
)
def test_unknown_types(cfg: dict, expected: str) -> None:
    message = problems(**cfg)
    assert expected in message
    assert 'type is missing' in message or ('searched: mmssl.' in message and 'custom_imports = dict(' in message)


def test_a_plugin_that_failed_to_import_is_named() -> None:
    imports = dict(imports=['no_such_plugin'], allow_failed_imports=True)
    message = problems(custom_imports=imports, model=dict(type='Nope'))
    assert "no_such_plugin failed to import: ModuleNotFoundError: No module named 'no_such_plugin'" in message


@pytest.mark.parametrize(
    ('cfg', 'expected'),
    [
        (dict(model=dict(type='NTXentLoss', temprature=1)), "NTXentLoss has no argument 'temprature'; did you mean"),
        (dict(model=dict(type='SimCLR', bakbone={})), "SimCLR has no argument 'bakbone'; did you mean 'backbone'"),
        (dict(model=dict(type='SimCLR', neck=dict(type='Identity', init_cfg={}))), "argument 'init_cfg'; it has none"),
        (dict(train_dataloader=dict(num_worker=1)), "DataLoader has no argument 'num_worker'"),
        (dict(optim_wrapper=dict(optimizer=dict(type='SGD', momentun=1))), "did you mean 'momentum'"),
        (dict(optim_wrapper=dict(clip_gradient=1)), "did you mean 'clip_grad'"),
        (dict(train_cfg=dict(val_intervall=1)), "did you mean 'val_interval'"),
        (dict(randomness=dict(sed=1)), "did you mean 'seed'"),
        (dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', intervall=1))), "did you mean 'interval'"),
    ],
)
def test_unknown_arguments(cfg: dict, expected: str) -> None:
    assert expected in problems(**cfg)


def test_arguments_that_mmengine_takes_out_are_allowed() -> None:
    hook = dict(type='CheckpointHook', priority='LOW')
    wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1), paramwise_cfg={}, accumulative_counts=2)
    assert problems(custom_hooks=[hook], optim_wrapper=wrapper, train_cfg=dict(by_epoch=True, max_epochs=1)) == ''


def test_two_lengths_that_differ() -> None:
    assert 'max_epochs=3 and train_cfg.max_epochs=2 contradict' in problems(max_epochs=3, train_cfg=dict(max_epochs=2))
    assert not problems(max_epochs=3, train_cfg=dict(max_epochs=3))


def test_a_part_of_an_evaluation_alone() -> None:
    message = problems(val_dataloader={}, val_cfg={}, val_evaluator=None)
    assert 'val_evaluator missing' in message and 'none of them for no evaluations during the run' in message
    assert 'test_cfg and test_evaluator missing' in problems(test_dataloader={})
    assert not problems(val_dataloader={}, val_cfg={}, val_evaluator=[], test_dataloader=None)


def test_several_mistakes_are_told_at_once() -> None:
    message = problems(max_epoch=1, model=dict(type='SimCRL'))
    assert message.startswith('2 mistakes') and 'max_epochs' in message and 'SimCLR' in message


def test_missing_paths(tmp_path: Path) -> None:
    loader = dict(dataset=dict(type='ImageFolder', data_root='/no/folder'))
    rest = dict(val_cfg={}, val_evaluator=[], test_cfg={}, test_evaluator=[])
    message = problems(train_dataloader=loader, val_dataloader=loader, test_dataloader=loader, **rest)
    assert message.count('/no/folder') == 2 and 'train_dataloader.dataset.data_root, val_data' in message
    assert 'test_dataloader' not in message  # a training does not read it
    assert 'test_dataloader' in problems(test_dataloader=loader)
    assert 'load_from' in problems(load_from='no.pth')
    target = dict(model=dict(type='SimCLR', target=dict(tokenizer=dict(checkpoint='no.pkl'))), train_dataloader={})
    place = 'model.target.tokenizer.checkpoint'
    assert missing_target_weights(Config(target)) == {place: 'no.pkl'}
    address = dict(model=dict(target=dict(checkpoint='https://example.org/x.pth')))
    assert missing_target_weights(Config(address)) == {}
    assert len(missing_paths(Config(target))) == 1 and not missing_paths(Config(target), data=False)
    assert not missing_paths(Config(target | dict(train_dataloader=None)))  # a test makes no targets
    assert 'init_cfg.checkpoint' in problems(model=dict(type='SimCLR', init_cfg=dict(checkpoint='no.pth')))
    assert problems(load_from='https://example.org/x.pth', data_root='/unused/variable') == ''
    loader = dict(dataset=dict(type='ImageFolder', data_root=str(tmp_path)))
    assert problems(val_dataloader=loader, val_cfg={}, val_evaluator=[]) == ''


def test_a_data_root_may_be_a_pattern(tmp_path: Path) -> None:
    (tmp_path / 'train-0.tar').touch()
    loader = dict(dataset=dict(type='TarShards', data_root=str(tmp_path / 'train-*.tar')))
    assert problems(train_dataloader=loader) == ''
    loader['dataset']['data_root'] = str(tmp_path / 'val-*.tar')
    assert 'val-*.tar' in problems(train_dataloader=loader)


class _Base:
    def __init__(self, base: int) -> None: ...


class _HandsOn(_Base):
    def __init__(self, *, own: int, **rest: int) -> None:
        super().__init__(base=abs(1), **rest)


_HandsOn.__module__ = 'mmssl.made_up'


class _GivesAway(_Base):
    options_go_to = _HandsOn

    def __init__(self, given: int, **rest: int) -> None: ...


class _UsesOtherwise(_Base):
    def __init__(self, own: int, **rest: int) -> None:
        super().__init__(base=1)
        self.rest = rest


@pytest.mark.parametrize(
    ('target', 'expected'),
    [
        (_Base, ({'self', 'base'}, True)),
        (_HandsOn, ({'self', 'own', 'base'}, True)),
        (_UsesOtherwise, ({'self', 'own'}, False)),
        (_GivesAway, ({'self', 'given', 'own', 'base'}, True)),
        (lambda items, pad=0: items, ({'items', 'pad'}, True)),
        (nn.Identity, ({'self'}, False)),
    ],
)
def test_accepted_arguments(target: Callable, expected: tuple[set[str], bool]) -> None:
    assert accepted_arguments(target) == expected


def _hands_on(function: Callable) -> bool:
    """Whether ``**kwargs`` of a constructor are arguments of ``super().__init__``."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    name = tree.body[0].args.kwarg.arg  # type: ignore[attr-defined]
    return any(
        isinstance(call, ast.Call)
        and ast.unparse(call.func) in ('super().__init__', 'super(cls, self).__init__')
        and any(keyword.arg is None and name in ast.unparse(keyword.value) for keyword in call.keywords)
        for call in ast.walk(tree)
    )


def test_constructors_hand_on_what_they_do_not_know() -> None:
    import_module('mmssl.models')
    tables = [table for table in vars(registry).values() if isinstance(table, Registry)]
    for table in tables:
        table.import_from_location()
    classes = {part for table in tables for part in table.module_dict.values() if inspect.isclass(part)}
    own = [c for c in classes if c.__module__.startswith('mmssl.') and '__init__' in vars(c)]
    taking = [c for c in own if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(c.__init__).parameters.values())]
    assert len(taking) > 20
    wrong = [c.__name__ for c in taking if not _hands_on(c.__init__) and 'options_go_to' not in vars(c)]
    assert not wrong, 'hand **kwargs on to super().__init__, or name their receiver in options_go_to'


def test_did_you_mean() -> None:
    assert did_you_mean('simclr', ['SimCLR', 'MoCo']) == "; did you mean 'SimCLR'?"
    assert did_you_mean('zzz', ['SimCLR', 'MoCo']) == ''


def test_what_may_be_compiled() -> None:
    for value in ('blocks', dict(target='blocks', mode='max-autotune'), True, False, dict(backend='eager')):
        assert not problems(compile=value, checkpoint_blocks=True, activation_checkpointing=['backbone.blocks.0'])
    for value in ('block', 'train_step', dict(target='forward'), 1.5):
        assert "compile takes 'blocks'" in problems(compile=value) and repr(value) in problems(compile=value)
    for value, found in (
        (dict(modee='default'), "no option 'modee'; did you mean 'mode'"),
        (dict(target='blocks', mode='fast'), 'Unrecognized mode=fast, should be one of: default'),
        (dict(backend='eagre'), "Invalid backend: 'eagre'"),
        (dict(dynamic=2), 'compile.dynamic takes True or False or None, got 2'),
    ):
        assert found in problems(compile=value)
    assert block_compile_options(dict(target='blocks', mode='max-autotune')) == dict(mode='max-autotune')
    assert block_compile_options('blocks') == {} and block_compile_options(True) is None


@pytest.mark.parametrize('package', ['mmdet', 'mmseg'])
def test_bases_of_mmdet_and_mmseg(package: str, tmp_path: Path) -> None:
    pytest.importorskip('mmcv')
    if find_spec(package) is None:
        pytest.skip(f'needs {package}')
    (tmp_path / 'c.py').write_text(f"_base_ = '{package}::_base_/default_runtime.py'")
    cfg = load_config(tmp_path / 'c.py')
    assert cfg.default_scope == package and 'runner_type' not in cfg
    assert find_spec('mmcv._ext') is not None


def test_a_plain_config_changes_nothing_outside_it(tmp_path: Path) -> None:
    code = (
        'import sys\n'
        'from mmssl.config.load import load_config\n'
        'load_config(sys.argv[1])\n'
        "print(sum(type(finder).__module__ == 'mmssl.compat.mmcv_ext' for finder in sys.meta_path))"
    )
    (tmp_path / 'base.py').write_text("default_scope = 'mmdet'\n")
    for name, text, changes in (('plain', 'max_epochs = 1\n', 0), ('detector', "_base_ = './base.py'\n", 1)):
        (tmp_path / f'{name}.py').write_text(text)
        run = run_python('-c', code, tmp_path / f'{name}.py')
        assert run.stdout == f'{changes}\n', run.stderr
