"""A Ray that does not start, or is another one, is a sentence."""

import pytest
import ray

from medgen.actors.session import RaySession
from medgen.engine.errors import PlanError


@pytest.mark.parametrize("kind", [Exception, RuntimeError, TimeoutError])
def test_a_ray_that_is_too_late_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def late(**options: object) -> None:
        raise kind("the current node timed out during startup.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(PlanError, match=r"did not start.*timed out during startup. Run again when"):
        RaySession().__enter__()
