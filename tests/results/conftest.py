"""Statistics at the speed that they have outside of a session of tests."""

import gc

import pytest


@pytest.fixture(autouse=True)
def _few_to_collect() -> None:
    """Holm's correction by statsmodels collects garbage: what is there by now stays out of it."""
    gc.freeze()
