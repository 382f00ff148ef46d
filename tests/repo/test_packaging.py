"""What is installed, what it pulls in, and whose names it uses."""

import email
import importlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("engine", "actors", "adapters", "metrics", "conf", "launch")
HEAVY = ("ray", "torch", "vllm", "transformers", "diffusers")
HELP_SECONDS = 0.5


def test_nobody_else_ships_our_name() -> None:
    owners = importlib.metadata.packages_distributions()
    assert set(owners.get("medgen", [])) <= {"medgen-engine"}


@pytest.mark.parametrize("folder", OURS)
def test_our_name_leads_to_this_tree(folder: str) -> None:
    """Also from another folder and without the test runner's paths: what a user's shell sees."""
    where = subprocess.run(
        [sys.executable, "-P", "-c", f"import medgen.{folder} as m; print(m.__file__)"],
        cwd="/",
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).resolve() == ROOT / folder / "__init__.py"


@pytest.mark.parametrize("folder", OURS)
def test_a_folder_is_not_imported_by_its_bare_name(folder: str) -> None:
    """It would be a second copy of every class."""
    with pytest.raises(ImportError, match=f"import medgen.{folder} instead"):
        importlib.import_module(folder)


def test_in_a_clone_the_package_is_six_links() -> None:
    links = {p.name: p.readlink() for p in (ROOT / "medgen").iterdir() if p.is_symlink()}
    assert links == {folder: Path("..", folder) for folder in OURS}


def _help() -> subprocess.CompletedProcess[str]:
    script = (
        "import json, sys\n"
        "from medgen.launch.cli import main\n"
        "sys.argv = ['medgen', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})), file=sys.stderr)"
    )
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )


def test_help_loads_nothing_heavy() -> None:
    answer = _help()
    assert "Usage" in answer.stdout
    loaded = set(json.loads(answer.stderr.splitlines()[-1]))
    assert "medgen" in loaded
    assert loaded & set(HEAVY) == set()


def test_help_answers_at_once() -> None:
    """Best of five, as processor time of the child: a busy machine makes nothing slower."""
    command = [sys.executable, "-m", "medgen", "--help"]
    spent = []
    for _ in range(5):
        before = os.times()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        after = os.times()
        spent.append(after.children_user + after.children_system)
        spent[-1] -= before.children_user + before.children_system
    assert min(spent) < HELP_SECONDS


def test_the_arrows_between_folders_hold() -> None:
    checked = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout[-3000:]


def _built(kind: str, root: Path, folder: Path) -> Path:
    """A distribution of the tree at `root`: `wheel` or `sdist`."""
    script = f"import sys, hatchling.build as b; print(b.build_{kind}(sys.argv[1]))"
    command = [sys.executable, "-c", script, str(folder)]
    built = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return folder / built.stdout.split()[-1]


def _content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_one_name_with_configuration_and_templates(tmp_path: Path) -> None:
    inside = _content(_built("wheel", ROOT, tmp_path))
    tops = {name.partition("/")[0] for name in inside}
    assert {top for top in tops if not top.startswith("medgen_engine-")} == {"medgen"}
    pages = [file for file in (ROOT / "launch/view/static").iterdir() if file.is_file()]
    data = [*(ROOT / "launch").rglob("*.j2"), *pages]
    data += (ROOT / "adapters/trained/weights").iterdir()
    code = [f for o in OURS for kind in ("*.py", "*.yaml") for f in (ROOT / o).rglob(kind)]
    wanted = {f"medgen/{file.relative_to(ROOT).as_posix()}" for file in data + code}
    assert len(wanted) > 200
    assert {name for name in inside if name.startswith("medgen/")} == wanted | {
        "medgen/__init__.py",
        "medgen/__main__.py",
        "medgen/py.typed",
        *(n for n in inside if n.endswith(".json")),
    }


def test_a_wheel_from_the_sdist_is_the_wheel(tmp_path: Path) -> None:
    """A build backend that follows links only once would lose whole folders from the sdist."""
    direct, archive = _built("wheel", ROOT, tmp_path), _built("sdist", ROOT, tmp_path)
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "sdist", filter="data")
    (unpacked,) = (tmp_path / "sdist").iterdir()
    (tmp_path / "again").mkdir()
    assert _content(_built("wheel", unpacked, tmp_path / "again")) == _content(direct)


def test_an_index_can_show_the_wheel(tmp_path: Path) -> None:
    """What it says of itself has no link that leads nowhere outside the repository."""
    inside = _content(_built("wheel", ROOT, tmp_path))
    (metadata,) = (text for name, text in inside.items() if name.endswith("METADATA"))
    told = email.message_from_bytes(metadata)
    assert told["Description-Content-Type"] == "text/markdown"
    assert {c.partition(" :: ")[0] for c in told.get_all("Classifier", [])} > {"Typing", "Topic"}
    links = re.findall(r"\]\(([^)]+)\)", str(told.get_payload()))
    assert links
    assert [link for link in links if not link.startswith("https://")] == []


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tables = text[text.index("\ndependencies = [") : text.index("\n[project.scripts]")]
    requirements = [line for line in tables.splitlines() if line.startswith('    "')]
    assert len(requirements) > 20
    assert [line for line in requirements if not re.search(r'",\s+# \w+', line)] == []
