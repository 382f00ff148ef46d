"""A baseline that is not there is found out before the night, not after it."""

from pathlib import Path

import pytest
import yaml
from sources.outside import RECORDS, write_view

from medgen.launch.cli import main


def test_a_baseline_that_is_not_there_ends_the_night_before_it_begins(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b").mkdir()
    write_view(tmp_path / "b", RECORDS)
    body = {
        "name": "w", "store": str(tmp_path / "store"), "cluster": "in-process", "report": False,
        "benchmark": {"name": "b", "source": str(tmp_path / "b")},
        "systems": [{"name": "o", "answer": {"target": "oracle"}}],
        "protocol": {"name": "t", "metrics": {"token_f1": {}}},
        "nightly": {"baseline": "no-such-run"},
    }  # fmt: skip
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(body))
    with pytest.raises(SystemExit) as end:
        main(["nightly", "--config", str(tmp_path / "run.yaml")])
    said = "".join(capfd.readouterr())
    assert end.value.code not in (0, None)
    assert "nightly.baseline: no run 'no-such-run'" in said
    assert not (tmp_path / "store" / "runs").exists(), "nothing was run"
