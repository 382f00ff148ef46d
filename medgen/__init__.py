"""Evaluate medical models from Python, as `medgen eval` and `medgen report` do it.

The six folders of the engine are beside this file; nothing of them is loaded before it is used.

    import medgen

    run = medgen.evaluate("questions.csv", "http://127.0.0.1:8000/v1")
    run.summary()                                # an Arrow table: one row a system, group and value
    medgen.open("var/store").run().values()      # one row a sample and value, of the latest run
"""

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medgen.launch.notebook import Run, Store

__all__ = ["evaluate", "open"]


def evaluate(
    data: str | PathLike[str],
    model: str,
    *,
    judge: str = "",
    name: str = "",
    key_env: str = "",
    store: str | PathLike[str] = "var/store",
    limit: int | None = None,
) -> "Run":
    """Evaluate one model on a table of yours, a folder of pairs, or a benchmark.

    Args:
        data: a table (CSV, JSON, Parquet …), the folder that holds it, a preset's YAML or name.
        model: the URL of an OpenAI-compatible server, or the name of a system.
        judge: the URL of the server whose model judges, or the name of a judge; empty: none does.
        name: of the model, where the server has several.
        key_env: the environment variable that holds the server's key.
        store: where results live, a directory or any fsspec URL.
        limit: samples at least, rounded up to whole shards; None means all.

    Raises:
        MedgenError: the data cannot be read, or the model cannot be reached. What fails later costs
            the rows that it is about; a warning says so, and the same call goes on from there.

    What is there already is not made again:

    >>> import medgen
    >>> run = medgen.evaluate(table, "classical", store=store)
    >>> run.samples
    4
    >>> means = {row["system"]: row["mean"] for row in run.summary().to_pylist()
    ...          if row["metric"] == "choice_accuracy.correct_or_wrong" and row["group"] == "all"}
    >>> means["oracle"], means["blank"]
    (1.0, 0.0)
    """
    from medgen.launch.notebook import as_words, run_quickly
    from medgen.launch.quick import Quick

    told = {"data": data, "model": model, "judge": judge, "store": store}
    words = {key: as_words(key, value) for key, value in told.items()}
    return run_quickly(Quick(**words, name=name, key_env=key_env, limit=limit))


def open(url: str | PathLike[str] = "var/store") -> "Store":
    """The store at a directory or any fsspec URL, for reading what runs left there.

    >>> import medgen
    >>> found = medgen.open(store)
    >>> found.run().values().select(["system", "sample", "value"]).num_rows > 0
    True
    """
    from medgen.launch.notebook import Store, as_words

    return Store(as_words("url", url))
