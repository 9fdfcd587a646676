"""``--help`` answers at once, and a training imports no library that it does not use: modules are counted, not time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.fresh_python import run_python
from tests.support.tools import ROOT

# Their help lists names that stand beside code which needs torch.
LIST_NAMES = {
    'benchmarks/linear_probe.py', 'benchmarks/voc07_svm.py', 'model_converters/convert.py', 'profiling/adder_step.py',
    'profiling/detection_memory.py', 'visualization/vis_attention.py', 'visualization/vis_words.py',
}  # fmt: skip

_HELP = """
import contextlib, io, runpy, sys
slow = {'torch', 'mmengine', 'timm', 'sklearn', 'matplotlib', 'cv2', 'numpy', 'PIL'}
for tool in TOOLS:
    sys.argv = [tool, '--help']
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        runpy.run_path(tool, run_name='__main__')
    assert 'usage:' in printed.getvalue(), tool
    assert not slow & set(sys.modules), (tool, slow & set(sys.modules))
assert len(sys.modules) < 400
print('done')
"""
_TRAINING = """
import sys
from pathlib import Path
import mmssl.apis.train
from tests.support.tiny_run import build_runner, tiny_config
figures = dict(type='RunVisualizer', vis_backends=[dict(type='LocalVisBackend')])
build_runner(tiny_config(Path(FOLDER), visualizer=figures)).visualizer.add_scalar('loss', 1.0)
slow = {'sklearn', 'scipy', 'skimage', 'joblib', 'matplotlib', 'mmcv', 'mmdet', 'mmseg', 'faiss'}
print(sorted(set(sys.modules) & (slow | {'torch.distributed.checkpoint'})))
"""


def last_line(run: subprocess.CompletedProcess[str]) -> str:
    assert run.returncode == 0, run.stderr
    return run.stdout.strip().rpartition('\n')[2]


def test_help_imports_nothing_that_is_slow() -> None:
    tools = sorted((ROOT / 'tools').rglob('*.py'))
    names = {str(path.relative_to(ROOT / 'tools')) for path in tools}
    assert names >= LIST_NAMES and len(tools) > 30
    quick = [str(path) for path in tools if str(path.relative_to(ROOT / 'tools')) not in LIST_NAMES]
    code = f'TOOLS = {quick}\n{_HELP}'
    run = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert last_line(run) == 'done'


def test_training_imports_neither_figures_nor_scores(tmp_path: Path) -> None:
    assert last_line(run_python('-c', f'FOLDER = {str(tmp_path)!r}\n{_TRAINING}')) == '[]'
