"""Where this process comes from: the Ray job that it drives, and the code that it runs."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import medgen

_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set by Ray for the driver of a job


MARK = "medgen"  # in a job's metadata: submitted by us, so old requests to stop were taken back


@dataclass(frozen=True, slots=True)
class Job:
    """The Ray job that this process drives; empty outside of one."""

    id: str = ""
    submitted: bool = False  # by `medgen submit`


def current_job() -> Job:
    """The job of this process, as Ray tells it."""
    try:
        metadata = json.loads(os.environ.get(_JOB_CONFIG, "{}")).get("metadata", {})
    except ValueError:
        return Job()
    return Job(metadata.get("job_submission_id", ""), MARK in metadata)


PACKAGES = ("engine", "actors", "adapters", "metrics", "conf", "launch")


LABEL = "medgen-parcel.json"


def code_identity(root: Path | None = None) -> str:
    """Which code this is: the commit of a clone, or the label of an upload; empty otherwise."""
    root = root or package_folder().parent
    label = root / LABEL
    if label.is_file():
        said: dict[str, str] = json.loads(label.read_text(encoding="utf-8"))
        return f"upload {said['digest']} {said['code']}".strip()
    if not (root / ".git").exists():
        return ""
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *PACKAGES)
    return f"commit {commit}{' with changes' if changed else ''}" if commit else ""


def _git(root: Path, *words: str) -> str:
    try:
        said = subprocess.run(
            ["git", "-C", str(root), *words],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


def package_folder() -> Path:
    """The folder `medgen`: of links to the six in a clone, with the six in it elsewhere."""
    return Path(medgen.__file__).parent
