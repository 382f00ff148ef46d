"""`make train-tiny`: train the small models and put their weights into the package."""

import argparse
import logging
from pathlib import Path

import torch

from medgen.launch.setup.training.editor import EditorRecipe, train_editor
from medgen.launch.setup.training.eye import HeadRecipe, fit_judge, make_eye, train_reader
from medgen.launch.setup.training.pictures import read_real

SEED = 20261
_HERE = Path(__file__).parents[3] / "adapters" / "trained" / "weights"
log = logging.getLogger("medgen.training")


def main() -> None:
    """Every part, or those that are named."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("parts", nargs="*", default=["eye", "reader", "judge", "editor"])
    parser.add_argument("--wheels", type=Path, required=True, help="Where the wheels lie.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--to", type=Path, default=_HERE)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)  # the same sums in the same order; two cores are no faster
    real = read_real(given.wheels)
    given.to.mkdir(parents=True, exist_ok=True)
    for part in given.parts:
        to = given.to / f"{part}.safetensors"
        if part == "eye":
            make_eye(given.wheels, to)
        elif part == "reader":
            right = train_reader(real, HeadRecipe(given.seed), to)
            log.info("reader: %.3f of the kept made pictures right in both", right)
        elif part == "judge":
            for view, share in fit_judge(real, HeadRecipe(given.seed), to).items():
                log.info("judge, %s: %.3f of the variance explained", view, share)
        else:
            train_editor(real, EditorRecipe(given.seed), to)


if __name__ == "__main__":
    main()
