"""Lines of the terminal at 80 columns: the doctor's, the gate's, and a forecast in the logs."""

from dataclasses import asdict

from medgen.engine.results.gate import CellFinding, GateRules, GateVerdict
from medgen.engine.run.forecast import Forecast
from medgen.launch.cluster.follow import sentence
from medgen.launch.setup.doctor import Finding, finding_lines
from medgen.launch.view.comparing import gate_lines


def test_a_finding_is_wrapped_beside_its_area_and_says_what_to_do() -> None:
    what = "Seeded weights in var/weights: " + ", ".join(f"tiny-model-{i}" for i in range(9))
    finding = Finding("weights", "warn", what, "pip install 'medgen-engine[s3,metrics]'")
    lines = [line.plain for line in finding_lines(finding, 80)]
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("weights      warn    Seeded weights in")
    assert lines[-1] == "             do      pip install 'medgen-engine[s3,metrics]'"
    said = "".join(line[21:] for line in lines[:-1])
    assert "".join(said.split()) == "".join(what.split())
    assert not any(line.rstrip().endswith("-") for line in lines)


def test_a_forecast_in_the_logs_is_a_sentence() -> None:
    made = Forecast(7200.0, 2.0, 4.0, 0, 0.0, ("answer/a",), (), ("score", "judge/b"))
    event = {"event": "forecast", "time": "2026-11-29T20:35:04.896+00:00", "group": ""}
    found = sentence(event | asdict(made) | {"driver": "d"})
    assert found == (
        "20:35:04 foretold: about 2.00 h on 2 GPU; 4.00 GPU h with loads; speed of 1 measured; "
        "of 2 not known"
    )
    assert sentence(event | {"hours": 3}).startswith("20:35:04 foretold: hours=3")


def test_the_gates_lines_fit_with_long_names() -> None:
    cell = {
        "format": "MultimodalGeneration", "kind": "all", "group": "MultimodalGeneration",
        "metric": "text_similarity_minilm",
    }  # fmt: skip
    names = dict.fromkeys(CellFinding.__dataclass_fields__)
    numbers = {"baseline": 0.7796, "candidate": 0.6715, "loss": 0.1082, "margin": 0.008958}
    finding = CellFinding(**{**names, **cell, **numbers, "word": "regressed"})
    run = "a-run-with-a-long-name-33584dce14 / "
    body = {f: None for f in GateVerdict.__dataclass_fields__ if f != "schema"}
    body |= {
        "baseline": run + "aster-30b+aster-edit-of-last-week", "candidate": run + "birch-omni" * 4,
        "findings": (finding,), "word": "regression", "alpha": GateRules().alpha, "reasons": (),
        "stopped": (), "across": (), "random_weights": False,
    }  # fmt: skip
    lines = list(gate_lines(GateVerdict(**body)))
    assert lines[0].startswith("REGRESSION  birch-omni")
    assert max(map(len, lines)) <= 80
