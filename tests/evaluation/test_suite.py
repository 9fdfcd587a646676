"""A suite runs what has no result, keeps what has one, and survives a protocol that fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmssl.evaluation.suite import (
    PRETRAINED,
    RANDOM,
    Protocol,
    Result,
    Suite,
    load_suite,
    read_metric,
    report,
    summarize,
)
from mmssl.utils.errors import UserError
from mmssl.visualization.suite_results import plot_suite

ROOT = Path(__file__).parents[2]
SUITES = sorted((ROOT / 'configs' / 'benchmarks' / 'suites').glob('*.py'))

_SCRIPT = """
import json, sys
from pathlib import Path
kind, out, seed, *rest = sys.argv[1:]
with open(Path(out).parents[3] / 'calls.txt', 'a') as calls:
    calls.write(' '.join([kind, seed, *rest]) + chr(10))
if kind == 'broken':
    sys.exit('the data is not there')
Path(out).write_text(json.dumps(dict(accuracy=0.5 + int(seed) / 10 + ('--pretrained' in rest) / 4)))
"""


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    (tmp_path / 'script.py').write_text(_SCRIPT)
    kinds = (('good', 'accuracy', 'fine'), ('bad', 'accuracy', 'broken'), ('odd', 'other', 'fine'))
    protocols = [
        Protocol(name, metric, ['script.py', kind, '{out}', '{seed}'], scale=100.0) for name, metric, kind in kinds
    ]
    return Suite(protocols, tmp_path / 'epoch_1.pth', tmp_path, tmp_path / 'runs', tmp_path)


def calls(suite: Suite) -> list[str]:
    return (suite.work_dir / 'calls.txt').read_text().splitlines()


def test_both_initialisations_and_all_seeds_run_and_a_failure_costs_no_other(suite):
    results = suite.run([0, 1])
    values = {(r.protocol, r.init, r.seed): r.value for r in results}
    assert [values['good', PRETRAINED, seed] for seed in (0, 1)] == pytest.approx([75, 85])
    assert [values['good', RANDOM, seed] for seed in (0, 1)] == pytest.approx([50, 60])
    assert {key[0] for key, value in values.items() if value is None} == {'bad', 'odd'} and len(values) == 12
    assert len(calls(suite)) == 12
    errors = {r.protocol: r.error for r in results if r.init == RANDOM}
    assert 'exit code 1' in errors['bad'] and 'the data is not there' in errors['bad']
    assert 'no other among its metrics' in errors['odd']


def test_a_second_call_runs_only_what_has_no_result(suite):
    first = suite.run([0])
    assert len(calls(suite)) == 6
    second = suite.run([0, 1])
    assert len(calls(suite)) == 6 + 4 + 6  # what failed is tried again, and the new seed is run
    assert second[:2] == first[:2]


def test_an_interrupted_training_is_resumed(suite):
    folder = suite.work_dir / 'good' / RANDOM / 'seed0'
    folder.mkdir(parents=True)
    (folder / 'last_checkpoint').write_text('epoch_1.pth')
    suite.run([0])
    assert calls(suite)[:2] == ['fine 0 --pretrained ' + str(suite.checkpoint), 'fine 0 --resume']


def test_a_run_of_another_checkpoint_is_not_taken_for_this_one(suite):
    suite.run([0])
    newer = suite.checkpoint.with_name('epoch_2.pth')
    other = Suite(suite.protocols, newer, suite.data_root, suite.work_dir, suite.root)
    with pytest.raises(UserError, match='holds a run of a different command'):
        other.run([0])


def test_a_result_that_is_older_than_the_checkpoint_is_not_reported(suite):
    suite.run([0])
    suite.checkpoint.touch()
    with pytest.raises(UserError, match='epoch_1.pth was written after the result in .*good/pretrained/seed0: delete'):
        suite.run([0])


def test_an_interrupted_training_of_older_weights_is_not_resumed(suite):
    folder = suite.work_dir / 'good' / PRETRAINED / 'seed0'
    protocol = suite.protocols[0]
    suite.checkpoint.touch()
    suite.run_one(protocol, PRETRAINED, 0)
    (folder / 'result.json').unlink()
    (folder / 'last_checkpoint').write_text('epoch_1.pth')
    assert suite.run_one(protocol, PRETRAINED, 0).value == pytest.approx(75) and '--resume' in calls(suite)[-1]
    (folder / 'result.json').unlink()
    suite.checkpoint.touch()
    with pytest.raises(UserError, match='epoch_1.pth was written after the start of the interrupted run in .*delete'):
        suite.run_one(protocol, PRETRAINED, 0)


def test_a_suite_that_was_killed_as_it_wrote_a_command_continues(suite):
    folder = suite.work_dir / 'good' / RANDOM / 'seed0'
    folder.mkdir(parents=True)
    (folder / 'command.json').write_text('["scr')
    assert suite.run_one(suite.protocols[0], RANDOM, 0).value == pytest.approx(50)
    assert json.loads((folder / 'command.json').read_text())[0] == 'script.py'


def test_metrics_of_a_training_run_are_the_last_ones(tmp_path):
    for stamp, values in (('1', [0.1, 0.2]), ('2', [0.3, float('nan')])):
        log = tmp_path / stamp / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text(''.join(json.dumps({'mIoU': value, 'step': 1}) + '\n' for value in values))
    assert read_metric(tmp_path, 'mIoU') is None  # diverged
    (tmp_path / '2' / 'vis_data' / 'scalars.json').write_text('{"mIoU": 0.4}\n{"loss": 1.0}\n{"mIoU": 0.')
    assert read_metric(tmp_path, 'mIoU') == 0.4
    assert read_metric(tmp_path, 'AP') is None


RESULTS = [
    Result('a', RANDOM, 0, 10.0, 1.0),
    Result('a', RANDOM, 1, 12.0, 1.0),
    Result('a', PRETRAINED, 0, 20.0, 1.0),
    Result('a', PRETRAINED, 1, None, 1.0, [], 'exit code 1; out of memory'),
]


def test_summary_and_table():
    assert summarize(RESULTS) == {'a': {RANDOM: (11.0, pytest.approx(2**0.5), 2), PRETRAINED: (20.0, 0.0, 1)}}
    text = report([Protocol('a', 'AP', [], title='BCCD')], RESULTS, dict(checkpoint='x.pth'))
    assert '| BCCD | AP | 11.00 ± 1.41 | 20.00 | +9.00 | 2 + 1 |' in text
    assert '- checkpoint: x.pth' in text and 'out of memory' in text
    text = report([Protocol('a', 'AP', []), Protocol('b', 'AP', [])], RESULTS[2:], {})
    assert '| a | AP | no run | 20.00 |  | 0 + 1 |' in text and '| b | AP | no run | no run |  | 0 + 0 |' in text


def test_figure_has_a_panel_per_protocol_and_a_dot_per_run():
    figure = plot_suite([Protocol('a', 'AP', []), Protocol('b', 'mIoU', [])], RESULTS)
    first, second = figure.axes
    assert [sorted(line.get_ydata()) for line in first.lines] == [[10.0, 12.0], [20.0]]
    assert not second.lines and [text.get_text() for text in second.texts] == ['no result'] * 2


def test_loading(tmp_path):
    folder = tmp_path / 'configs' / 'benchmarks' / 'suites'
    folder.mkdir(parents=True)
    (folder / 'tiny.py').write_text("protocols = dict(a=dict(metric='AP', command=['x.py']))")
    (folder / 'empty.py').write_text('')
    (folder / 'wrong.py').write_text("protocols = dict(a=dict(metrics='AP', command=[]))")
    (protocol,) = load_suite('tiny', tmp_path)
    assert protocol == Protocol('a', 'AP', ['x.py'])
    assert load_suite(str(folder / 'tiny.py'), tmp_path) == [protocol]
    with pytest.raises(UserError, match="no suite 'tinny'; did you mean 'tiny'.*empty, tiny, wrong"):
        load_suite('tinny', tmp_path)
    with pytest.raises(UserError, match='has no protocols'):
        load_suite('empty', tmp_path)
    with pytest.raises(UserError, match="unexpected keyword argument 'metrics'"):
        load_suite('wrong', tmp_path)
    for argument in ('{checkpont}', 'dict(a={})', '{'):
        (folder / 'braces.py').write_text(f"protocols = dict(a=dict(metric='AP', command=['x.py', {argument!r}]))")
        with pytest.raises(UserError, match='braces that are none of {checkpoint}, {data}, {seed}'):
            load_suite('braces', tmp_path)


@pytest.mark.parametrize('name', [path.stem for path in SUITES], ids=str)
def test_shipped_suites_name_tools_and_configs_that_are_there(name):
    protocols = load_suite(name, ROOT)
    suite = Suite(protocols, Path('epoch_1.pth'), Path('data'), Path('runs'), ROOT)
    assert protocols
    for protocol in protocols:
        for init in (PRETRAINED, RANDOM):
            command = suite.command(protocol, init, 3, Path('runs'))
            assert not any('{' in argument for argument in command)
            for argument in command:
                assert not argument.endswith('.py') or (ROOT / argument).is_file(), argument
        assert any('3' in argument for argument in command), 'the seed is not used'


@pytest.mark.parametrize('argument', ['command', 'pretrained', 'random', 'resume'])
def test_a_text_instead_of_a_list_of_arguments_is_refused(argument, tmp_path):
    arguments = dict(metric='m', command=['tool.py']) | {argument: 'tool.py'}
    (tmp_path / 'suite.py').write_text(f'protocols = dict(a={arguments})')
    with pytest.raises(UserError, match=f"a: {argument} is the text 'tool.py': write a list"):
        load_suite(str(tmp_path / 'suite.py'), tmp_path)
