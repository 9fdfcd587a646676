"""Options of the command line: how values are read, which stay text, and which would change nothing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.visualization import LocalVisBackend

from mmssl.cli.options import CfgOptions
from mmssl.config.check import check_config
from mmssl.config.load import apply_options, copy_config, load_config
from mmssl.config.options import Options, parse_value, write_options
from mmssl.config.paths import missing_paths
from mmssl.engine.transfer_runner import TransferRunner
from mmssl.registry import VISBACKENDS
from mmssl.utils.errors import UserError

CONFIGS = Path(__file__).parents[2] / 'configs'
RECIPE = CONFIGS / 'simclr' / 'simclr_resnet18_1xb512-200e_cifar10.py'


def written(*words: str) -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions)
    return parser.parse_args(['--cfg-options', *words]).cfg_options


def config() -> Config:
    view = dict(type='AugmentedView', size=32)
    return Config(
        dict(
            _view=view,
            _lr=0.6,
            default_scope='mmssl',
            max_epochs=3,
            model=dict(type='SimCLR', data_preprocessor=dict(type='SelfSupDataPreprocessor')),
            train_dataloader=dict(batch_size=8, dataset=dict(data_root='data/in', views=[dict(view), dict(view)])),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.6)),
        )
    )


def refusal(**options: Any) -> str:
    with pytest.raises(UserError) as error:
        write_options(config(), {key.replace('__', '.'): value for key, value in options.items()})
    return str(error.value)


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('5', 5),
        ('1e-3', 1e-3),
        ('None', None),
        ('true', True),
        ('a,b', ['a', 'b']),
        ('[a, b]', ['a', 'b']),
        ("('traffic light',)", ('traffic light',)),
        ("[dict(type='TensorboardVisBackend')]", [dict(type='TensorboardVisBackend')]),
        ("{'type': 'X', 'sizes': (1, 2)}", dict(type='X', sizes=(1, 2))),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert parse_value('key', text) == value


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('dict(type=X)', r'words in a dict need quotes; or write one option for each entry, such as key.NAME'),
        ('[1,2', 'brackets do not match'),
    ],
)
def test_values_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_value('key', text)


def test_two_equals_signs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        written('max_epochs==1')
    assert 'max_epochs==1: write max_epochs=1, with one equals sign' in capsys.readouterr().err


def test_paths_stay_text(tmp_path: Path) -> None:
    root = 'train_dataloader.dataset.data_root'
    options = written(f'{root}=2024', 'work_dir=007', 'load_from=None', 'experiment_name=1e3')
    assert options == {root: 2024, 'work_dir': 7, 'load_from': None, 'experiment_name': 1000.0}
    cfg = config()
    write_options(cfg, options)
    assert cfg.train_dataloader.dataset.data_root == '2024' and cfg.work_dir == '007'
    assert cfg.load_from is None and cfg.experiment_name == '1e3'
    write_options(cfg, written('train_dataloader.dataset.data_root=[2023,2024]'))
    assert cfg.train_dataloader.dataset.data_root == ['2023', '2024']
    moved = load_config(RECIPE, written('data_root=2024'))
    assert moved.train_dataloader.dataset.data_root == '2024'


def test_a_variable_of_the_file_is_refused_with_the_keys_that_hold_it() -> None:
    message = refusal(_view__size=24)
    assert message == (
        '--cfg-options _view.size=24 changes nothing: _view is a variable, whose value was used when the file was '
        'read; write train_dataloader.dataset.views.0.size=24, train_dataloader.dataset.views.1.size=24'
    )
    assert 'write optim_wrapper.optimizer.lr=0.1' in refusal(_lr=0.1)


@pytest.mark.parametrize(
    ('options', 'instead'),
    [
        (dict(batch_size=4), 'write train_dataloader.batch_size=4'),
        (dict(max_iters=4), 'train_cfg.by_epoch=False train_cfg.max_iters=NUMBER'),
        (dict(base_lr=4), 'optim_wrapper.optimizer.lr'),
        (dict(lr=4), 'write optim_wrapper.optimizer.lr=4'),
        (dict(optimizer__lr=4), 'write optim_wrapper.optimizer.lr=4'),
        (dict(resume_from='x'), 'load_from with resume=True, or --resume PATH'),
        (dict(find_unused_parameters=True), 'model_wrapper_cfg.find_unused_parameters'),
        (dict(launcher='pytorch'), '--launcher'),
        (dict(max_epoch=1), "did you mean 'max_epochs'"),
        (dict(data_preprocessor__to_float=1), 'write model.data_preprocessor.to_float'),
        (dict(num_classes=4), 'no part of the run has this key'),
    ],
)
def test_options_that_nothing_reads(options: dict, instead: str) -> None:
    message = refusal(**options)
    assert message.startswith('--cfg-options') and 'changes nothing' in message and instead in message


def test_every_unread_option_is_named() -> None:
    assert refusal(batch_size=4, base_lr=1, max_epochs=2).count('changes nothing') == 2


def test_options_that_are_read_are_written() -> None:
    cfg = config()
    write_options(cfg, {'max_epochs': 5, 'train_dataloader.dataset.views.1.size': 24, 'sync_bn': True})
    assert cfg.max_epochs == 5 and [view.size for view in cfg.train_dataloader.dataset.views] == [32, 24]


def test_a_list_has_numbers_for_keys() -> None:
    with pytest.raises(UserError, match='--cfg-options do not fit the config'):
        write_options(config(), {'train_dataloader.dataset.views.size': 24})


@pytest.mark.parametrize(
    ('word', 'message'),
    [
        ('optim_wrapper.optimizer.lr=0,05', r'optimizer.lr takes a number, got \[0, 5\].*lr=0.05 \(with a'),
        ('max_epochs=many', "max_epochs must be a whole number of at least 1, got 'many'"),
        ('max_epochs=0', 'max_epochs must be a whole number of at least 1, got 0'),
        ('train_dataloader.batch_size=0', 'train_dataloader.batch_size must be at least 1, got 0'),
        ('train_cfg.val_interval=0', 'train_cfg.val_interval must be at least 1, got 0'),
        ('randomness.seed=-1', 'randomness.seed must be at least 0, got -1'),
        ('randomness.seed=4294967296', 'randomness.seed must be at most 4294967295, got 4294967296'),
        ('optim_wrapper.optimizer.lr=nan', 'optim_wrapper.optimizer.lr must be a finite number, got nan'),
        ('optim_wrapper.optimizer=5', 'optim_wrapper.optimizer takes a dict, got 5'),
        ('optim_wrapper=5', 'optim_wrapper takes a dict or None, got 5'),
        ('train_dataloader=5', 'train_dataloader takes a dict or None, got 5'),
        ('train_cfg=5', 'train_cfg takes a dict or None, got 5'),
        ('train_dataloader.dataset=None', 'train_dataloader.dataset is missing: give a dict such as'),
        ('train_dataloader.collate_fn=None', r"collate_fn takes a dict, got None: write dict\(type='collate_views'\)"),
        ('val_cfg.bank_dataloader=None', 'val_cfg.bank_dataloader takes .*, got None'),
        ('visualizer=5', 'visualizer takes a dict or None, got 5'),
        ('custom_hooks=[5]', r"custom_hooks takes a list or None, got \[5\].*custom_hooks=.\[dict\(type='NAME'\)\]"),
        ('log_level=LOUD', "log_level must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, got 'LOUD'"),
        ('env_cfg.mp_cfg=5', 'env_cfg.mp_cfg takes a dict, got 5'),
        ('env_cfg.mp_cfg.mp_start_method=abc', "mp_start_method must be one of fork, .*, got 'abc'"),
        ('model.head.temperature=-0.2', 'model.head.temperature must be above 0, got -0.2'),
        ('optim_wrapper.clip_grad.max_norm=-1', 'max_norm must be above 0, got -1'),
        ('optim_wrapper.optimizer.lr=0', 'optimizer.lr must be above 0, got 0, with which nothing learns'),
        ('train_dataloader.dataset.views.0.size=big', r"views.0.size takes a whole number, got 'big'"),
        ('train_dataloader.dataset.views.0.jitter=0.4', r'views.0.jitter takes a list, got 0.4.*jitter=\[0.2,1.0\]'),
        ('randomness.seed=abc', r"randomness.seed takes a whole number, got 'abc'"),
        ('default_hooks.logger.interval=0', 'default_hooks.logger.interval must be 1 or more, got 0'),
        ('default_hooks.foo.interval=1', 'default_hooks.foo: type is missing'),
        ('env_cfg.cudnn_benchmrk=True', "env_cfg has no key 'cudnn_benchmrk'; did you mean 'cudnn_benchmark'"),
        ('auto_scale_lr.base=1', "auto_scale_lr has no key 'base'"),
        ('optim_wrapper.clip_grad.norm=1', "clip_grad has no key 'norm'"),
        ('train_dataloader.drop_last=yes', "drop_last takes True or False, got 'yes'"),
    ],
)
def test_values_of_the_wrong_type_or_size(word: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_config(load_config(RECIPE, written(word)), data=False)


@pytest.mark.parametrize('words', [['train_cfg.max_iters=5'], ['train_cfg.by_epoch=False', 'train_cfg.max_iters=5']])
def test_a_recipe_becomes_a_run_of_iterations(words: list[str]) -> None:
    check_config(load_config(RECIPE, written(*words)), data=False)


def test_backends_may_be_given_on_the_command_line() -> None:
    cfg = load_config(RECIPE, written("visualizer.vis_backends=[dict(type='TensorboardVisBackend')]"))
    assert cfg.visualizer.vis_backends[0].type == 'TensorboardVisBackend'
    check_config(cfg, data=False)


def test_a_backend_of_a_plugin_is_found() -> None:
    VISBACKENDS.register_module(name='PluginBackend', force=True, module=LocalVisBackend)
    check_config(load_config(RECIPE, written("visualizer.vis_backends=[dict(type='PluginBackend')]")), data=False)


def test_several_folders_take_the_place_of_one() -> None:
    cfg = config()
    cfg.val_dataloader = dict(dataset=dict(data_root='data/in/val'))
    apply_options(cfg, written('data_root=[/a,/b]'))
    assert cfg.train_dataloader.dataset.data_root == ['/a', '/b']
    assert cfg.val_dataloader.dataset.data_root == ['/a/val', '/b/val']
    assert [place for place in missing_paths(cfg) if "'/b/val' does not exist" in place and 'data_root.1' in place]


def test_a_data_root_that_another_option_names_stays() -> None:
    cfg = load_config(RECIPE, written('data_root=/tmp', 'train_dataloader.dataset.data_root=/data/photos'))
    assert cfg.train_dataloader.dataset.data_root == '/data/photos' and cfg.val_dataloader.dataset.data_root == '/tmp'
    cfg = load_config(RECIPE, written('data_root=/x', 'train_dataloader.dataset.data_root=[/a,/b]'))
    assert cfg.train_dataloader.dataset.data_root == ['/a', '/b']


def test_lists_of_data_roots_move() -> None:
    cfg = config()
    cfg.train_dataloader.dataset.data_root = ['data/in/a', 'data/in/b']
    apply_options(cfg, written('data_root=/x'))
    assert cfg.train_dataloader.dataset.data_root == ['/x/a', '/x/b']
    apply_options(cfg, written('data_root=[/y,/z]'))
    assert cfg.train_dataloader.dataset.data_root == ['/y/a', '/z/a', '/y/b', '/z/b']


def test_modules_named_by_an_option_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'my_plugin_of_an_option.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    cfg = load_config(RECIPE, written('custom_imports.imports=[my_plugin_of_an_option]'))
    assert cfg.custom_imports.imports == ['my_plugin_of_an_option'] and 'my_plugin_of_an_option' in sys.modules
    with pytest.raises(UserError, match="custom_imports: .* No module named 'no_such_plugin'"):
        apply_options(config(), written('custom_imports.imports=[no_such_plugin]'))


def test_modules_of_a_config_that_no_file_held_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'my_plugin_of_a_dict.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    copy_config(Config(dict(custom_imports=dict(imports=['my_plugin_of_a_dict']))))
    assert 'my_plugin_of_a_dict' in sys.modules
    with pytest.raises(UserError, match="config custom_imports: .* No module named 'no_such_plugin'"):
        copy_config(Config(dict(custom_imports=dict(imports=['no_such_plugin']))))


def test_epochs_beside_iterations_are_refused() -> None:
    iterations = ('train_cfg.by_epoch=False', 'train_cfg.max_iters=100')
    assert load_config(RECIPE, written(*iterations)).train_cfg.max_iters == 100
    with pytest.raises(UserError, match='max_epochs=3 changes nothing: .* train_cfg.max_iters=100; give one'):
        load_config(RECIPE, written('max_epochs=3', *iterations))


def test_iterations_for_a_run_of_another_scope_that_counts_epochs() -> None:
    cfg = config()
    cfg.update(default_scope='mmseg', train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=2))
    for word in ('max_iters=9', 'train_cfg.max_iters=9', 'train_cfg.by_epoch=False'):
        with pytest.raises(UserError, match='counts epochs; write max_epochs=NUMBER, or train_cfg='):
            apply_options(cfg, written(word))
    loop = "train_cfg=dict(_delete_=True,type='IterBasedTrainLoop',max_iters=9,val_interval=3)"
    apply_options(cfg, written(loop))
    assert cfg.train_cfg == dict(type='IterBasedTrainLoop', max_iters=9, val_interval=3)
    assert 'max_epochs' not in TransferRunner._train_loop_config(dict(cfg.train_cfg), cfg.max_epochs)


@pytest.mark.parametrize('key', ['', 'model..type', 'model.', ' '])
def test_a_part_of_a_key_is_empty(key: str) -> None:
    with pytest.raises(UserError, match='a part of the key is empty, write KEY=VALUE'):
        Options().add(key, '5')
