"""tools/train.py with ``stages=[...]``: order, artefacts, resume, and how mistakes end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mmssl.engine import stages
from mmssl.engine.stages import Stage, StepReport, read_stages
from mmssl.registry import STEPS
from tests.support.interruption import Interruption
from tests.support.tools import load_tool

train = load_tool('train.py')

Writer = Callable[..., Path]
Fails = Callable[..., str]

STAGES = """
stages = [
    dict(name='first', config=dict(max_epochs=1), leaves=dict(backbone='backbone.pth', checkpoint='whole.pth')),
    dict(
        name='sum', step=dict(type='SumWeights'), takes=dict(file='first.backbone'), leaves=dict(total='total.txt')
    ),
    dict(name='second', takes=dict(load_from='first.checkpoint')),
]
custom_hooks = []
"""


@STEPS.register_module()
class SumWeights:
    """Writes the sum of the weights in a file."""

    def __init__(self, seed: int, file: str | None = None, digits: int = 6) -> None:
        self.seed, self.file, self.digits = seed, file, digits

    def run(self, folder: Path) -> None:
        weights = torch.load(self.file, weights_only=True)['state_dict']
        total = sum(tensor.double().sum().item() for tensor in weights.values())
        (folder / 'total.txt').write_text(f'{total:.{self.digits}f}')

    def dry_run(self, folder: Path) -> StepReport:
        assert torch.load(self.file, weights_only=True)['state_dict']
        (folder / 'total.txt').write_text('0')
        return StepReport(['a sum costs nothing'])


@pytest.fixture
def config(write_config: Writer) -> Path:
    return write_config(append=STAGES)


def run(config: Path, work_dir: Path, *options: str) -> None:
    train.main([str(config), '--work-dir', str(work_dir), '--no-validate', *options])


def total(work_dir: Path) -> str:
    return (work_dir / 'sum' / 'total.txt').read_text()


def backbone(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / 'backbone.pth', weights_only=True)['state_dict']


def test_stages_follow_one_another_and_hand_on_files(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_dir = tmp_path / 'run'
    run(config, work_dir, '--seed', '5', '--cfg-options', 'sum.digits=3')
    record = json.loads((work_dir / 'second' / 'stage.json').read_text())
    assert record['finished'] and record['leaves'] == dict(backbone='backbone.pth')
    assert record['taken']['load_from']['artefact'] == 'first.checkpoint'
    assert len(total(work_dir).split('.')[1]) == 3
    assert sorted(file.name for file in (work_dir / 'first').glob('epoch*')) == ['epoch_1.pth', 'epoch_1_backbone.pth']
    assert (work_dir / 'second' / 'epoch_2.pth').is_file()
    files = [
        torch.load(work_dir / 'first' / name, weights_only=False)['meta'] for name in ('backbone.pth', 'whole.pth')
    ]
    assert [file['epoch'] for file in files] == [1, 1]
    log = next((work_dir / 'second').rglob('*.log')).read_text()
    assert 'first/whole.pth' in log  # the second training begins with the weights of the first

    seeds = [
        torch.load(work_dir / file, weights_only=False)['meta']['seed']
        for file in ('first/epoch_1.pth', 'second/epoch_2.pth')
    ]
    assert seeds == [5, 7]

    before = {path: path.stat().st_mtime_ns for path in work_dir.rglob('*.pth')}
    said: list[str] = []
    monkeypatch.setattr(stages, 'print_log', lambda text, **options: said.append(text))
    run(config, work_dir, '--resume', '--seed', '5')
    assert {path: path.stat().st_mtime_ns for path in work_dir.rglob('*.pth')} == before  # nothing is repeated
    other = 'stage sum had other settings (step.digits=3, now None): to run it again give --from-stage sum'
    assert [text for text in said if 'other settings' in text] == [other]


def test_a_killed_stage_goes_on_where_it_was(config: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    run(config, whole)
    stop = "[{'type':'StopRunHook','iteration':3}]"
    text = config.read_text().replace(
        'takes=dict(load_from=', f'config=dict(custom_hooks={stop}), takes=dict(load_from='
    )
    interrupted = config.with_name(f'{config.stem}_stopped.py')
    interrupted.write_text(text)
    with pytest.raises(Interruption):
        run(interrupted, killed)
    assert json.loads((killed / 'second' / 'stage.json').read_text())['finished'] is False
    first = (killed / 'first' / 'epoch_1.pth').stat().st_mtime_ns

    run(config, killed, '--resume')
    assert (killed / 'first' / 'epoch_1.pth').stat().st_mtime_ns == first
    for name, tensor in backbone(whole / 'second').items():
        assert torch.equal(backbone(killed / 'second')[name], tensor), name


def test_a_resume_does_not_meet_stages_of_an_earlier_run(config: Path, tmp_path: Path) -> None:
    ran: list[str] = []

    def write(stage: Stage, folder: Path, resume: bool) -> None:
        ran.append(stage.name)
        for file in stage.leaves.values():
            (folder / file).write_text('equal in every run')

    def stop(stage: Stage, folder: Path, resume: bool) -> None:
        raise Interruption

    def run_all(run: Callable, resume: bool) -> None:
        chosen = read_stages(config)
        stages.run_stages(chosen, chosen, tmp_path / 'run', resume, run)

    run_all(write, resume=False)
    with pytest.raises(Interruption):
        run_all(stop, resume=False)
    run_all(write, resume=True)
    assert ran == ['first', 'sum', 'second'] * 2


def test_stages_can_be_chosen(config: Path, tmp_path: Path, fails: Fails) -> None:
    work_dir = tmp_path / 'run'
    message = fails(train.main, config, '--work-dir', work_dir, '--only-stage', 'sum')
    assert "stage 'sum' takes 'first.backbone', whose file" in message and "run stage 'first' first" in message
    run(config, work_dir, '--only-stage', 'first')
    assert not (work_dir / 'sum').exists() and not (work_dir / 'second').exists()
    run(config, work_dir, '--from-stage', 'sum')
    before = total(work_dir)

    record = work_dir / 'first' / 'stage.json'
    finished = record.read_text()
    record.write_text(json.dumps(json.loads(finished) | dict(finished=False)))
    message = fails(train.main, config, '--work-dir', work_dir, '--only-stage', 'sum')
    assert "but stage 'first' in" in message and "has not finished: run stage 'first' again first" in message
    record.write_text(finished)

    run(config, work_dir, '--only-stage', 'first', '--seed', '1')  # what was left before is kept, beside it
    assert len(list((work_dir / 'first').glob('replaced_*/epoch_1.pth'))) == 1
    message = fails(train.main, config, '--work-dir', work_dir, '--resume')
    assert "has changed since stage 'sum' started from it" in message and '--from-stage sum' in message
    run(config, work_dir, '--only-stage', 'sum', '--cfg-options', f'sum.file={work_dir}/second/backbone.pth')
    assert total(work_dir) != before  # an option wins over the artefact


def test_a_dry_run_looks_at_every_stage_and_leaves_no_file(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        train.main([str(config), '--work-dir', str(tmp_path / 'run'), '--dry-run'])
    text = capsys.readouterr().out
    assert exit_.value.code == 0 and text.count('ready to train') == 2 and 'a sum costs nothing' in text
    assert [line for line in text.splitlines() if line.startswith('---')] == [
        f'--- stage {name}' for name in ('first', 'sum', 'second')
    ]
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('old', 'new', 'expected'),
    [
        (
            "'first.backbone'",
            "'first.bakcbone'",
            "leave first.backbone, first.checkpoint; did you mean 'first.backbone'?",
        ),
        ("name='second'", "name='first'", "'first' is the name of two stages"),
        ("name='second', takes", "name='second', take", "stage 'second' has no key 'take'; did you mean 'takes'"),
        ("name='sum',", "name='sum', config=dict(digits=3),", "stage 'sum' has a step, which takes no config: write"),
        ("type='SumWeights'", "type='SumWeight'", "stage 'sum': step.type: no step is called 'SumWeight'"),
        ('max_epochs=1', 'max_epoch=1', "stage 'first': config max_epoch=1 changes nothing: nothing reads max_epoch;"),
    ],
)
def test_mistakes_are_found_before_the_first_stage(
    write_config: Writer, tmp_path: Path, fails: Fails, old: str, new: str, expected: str
) -> None:
    config = write_config(append=STAGES.replace(old, new))
    assert expected in fails(train.main, config, '--work-dir', tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_an_empty_list_of_stages(write_config: Writer, fails: Fails) -> None:
    assert 'stages is empty' in fails(train.main, write_config(append='stages = []'))


def test_unknown_names_and_options_of_single_trainings(write_config: Writer, config: Path, fails: Fails) -> None:
    assert "no stage 'secnd'; the stages are first, sum, second; did" in fails(
        train.main, config, '--only-stage', 'secnd'
    )
    assert '--resume only without a path' in fails(train.main, config, '--resume', 'epoch_1.pth')
    assert 'has no stages' in fails(train.main, write_config(), '--from-stage', 'second')


def test_options_reach_one_stage_or_all_trainings(config: Path) -> None:
    first, step, second = read_stages(
        config, {'first.max_epochs': 3, 'optim_wrapper.optimizer.lr': 0.5, 'data_root': '/x'}
    )
    assert (first.config.max_epochs, second.config.max_epochs) == (3, 2)
    assert first.config.optim_wrapper.optimizer.lr == second.config.optim_wrapper.optimizer.lr == 0.5
    assert first.config.train_dataloader.dataset.data_root == second.config.val_dataloader.dataset.data_root == '/x'
    assert [first.config.randomness.seed, step.config.step.seed, second.config.randomness.seed] == [0, 1, 2]
    first, step, second = read_stages(config, {'randomness.seed': 5})
    assert [first.config.randomness.seed, step.config.step.seed, second.config.randomness.seed] == [5, 1, 7]
    first, step, second = read_stages(config, seed=5)
    assert [first.config.randomness.seed, step.config.step.seed, second.config.randomness.seed] == [5, 6, 7]


def test_the_config_of_a_stage_changes_what_an_option_changes(tmp_path: Path) -> None:
    (tmp_path / 'own.py').write_text(
        "param_scheduler = dict(type='CosineAnnealingLR', T_max=200)\nmax_epochs = 200\n"
        "train_dataloader = dict(dataset=dict(type='ImageFolder', data_root='data/photos'))\n"
    )
    changes = dict(max_epochs=10, data_root='elsewhere')
    (tmp_path / 'both.py').write_text(f"stages = [dict(name='only', recipe='own.py', config={changes!r})]")
    (stage,) = read_stages(tmp_path / 'both.py')
    assert (stage.config.max_epochs, stage.config.param_scheduler.T_max) == (10, 10)
    assert stage.config.train_dataloader.dataset.data_root == 'elsewhere'
