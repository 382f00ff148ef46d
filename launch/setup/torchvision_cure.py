"""Lets `import torchvision` work beside a PyTorch without CUDA.

The published wheel's C++ library is linked against CUDA; without it the two operators that its
Python part names at import are undeclared and the import dies. Declared (not implemented) they
let everything but `nms` itself work, which is all that LPIPS and image preprocessing need.

The cure must act in every process of the environment, a vendor's own subprocesses too, so this
very file is copied into site-packages and started by a `.pth` line. It uses the standard library
only, and costs nothing until torchvision is imported.
`python -m medgen.launch.setup.torchvision_cure` cures the environment that it runs in.
"""

import importlib.machinery
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

NAME = "medgen_torchvision_cure"
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[Any] = []  # a torch Library takes its declarations back when it is collected


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, _Finder)]
        _declare()
        super().exec_module(module)


class _Finder:
    """Answers for `torchvision` once, and for nothing else."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The ordinary spec of torchvision with the declarations put before its body."""
        if name != "torchvision":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return spec
        spec.loader = _Loader(name, spec.loader.path)
        return spec


def _declare() -> None:
    import torch

    if torch.version.cuda is not None or _declared:
        return
    make: Any = torch.library.Library  # its constructor has no types
    library = make("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(operator + _SCHEMA)
    _declared.append(library)


def activate() -> None:
    """Put the import hook first in this process; again and again does no harm."""
    if not any(type(f).__name__ == _Finder.__name__ for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def imports(python: str, module: str) -> str:
    """Import `module` in a fresh process: empty when it works, else its last line of error."""
    done = subprocess.run(
        [python, "-c", f"import {module}"], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {done.returncode}"


def cure(site_packages: Path, python: str = sys.executable) -> str:
    """Install the hook when, and only when, the plain import fails; say what was found.

    Args:
        site_packages: where `.pth` files of the environment live.
        python: the environment's interpreter.

    Raises:
        RuntimeError: the import fails for another reason, which the hook does not cure.
    """
    hook, start = site_packages / f"{NAME}.py", site_packages / f"{NAME}.pth"
    for file in (start, hook):  # the line before the module that it names
        file.unlink(missing_ok=True)
    error = imports(python, "torchvision")
    if not error:
        return "torchvision imports as it is"
    if "No module named 'torchvision'" in error:
        return "torchvision is not installed"
    shutil.copyfile(__file__, hook)
    start.write_text(f"import {NAME}; {NAME}.activate()\n", encoding="utf-8")
    error = imports(python, "torchvision")
    if error:
        raise RuntimeError(f"torchvision cannot be imported: {error}")
    return "torchvision was built for CUDA and PyTorch was not: its two operators are declared"


if __name__ == "__main__":
    sys.stdout.write(cure(Path(sysconfig.get_path("purelib"))) + "\n")
