"""The six contextual generation tasks of the miniature benchmark: a picture and a text wanted."""

import numpy as np

from medgen.adapters.mini import synthesis as change
from medgen.adapters.mini.items import Item, Scene
from medgen.adapters.mini.pictures import frames


def disease_prediction(scene: Scene) -> Item:
    """A drawn mark that has grown: a simulated course, and the item says so."""
    picture, growth = scene.picture, 1.5 + 0.1 * (scene.number % 5)
    later = change.spot(picture.pixels, picture.region, 0.4 * growth)
    return Item(
        f"A dark red mark was drawn on the {picture.part} of {picture.about}. Simulate its course: "
        f"show it {growth:.1f} times as wide, and describe the change.",
        (change.spot(picture.pixels, picture.region, 0.4),),
        f"In this simulated course the mark on the {picture.part} in the {picture.place} grows to "
        f"{growth:.1f} times its width; the rest of the picture is unchanged.",
        (later,),
        subtask="simulated-progression",
    )


def instruction_editing(scene: Scene) -> Item:
    """A change of the whole picture, described afterwards."""
    picture = scene.picture
    wanted, told, edited = (
        ("Mirror", "mirrored left to right", picture.pixels[:, ::-1]),
        ("Turn upside down", "turned by 180 degrees", picture.pixels[::-1, ::-1]),
        ("Invert the brightness of", "inverted in brightness", change.negative(picture.pixels)),
        ("Brighten", "brightened", np.sqrt(picture.pixels)),
    )[scene.number % 4]
    return Item(
        f"{wanted} this picture, {picture.about}, and say what has changed.",
        (picture.pixels,),
        f"The picture, {picture.about}, is {told}; its {picture.part} can still be recognised.",
        (edited,),
    )


def organic_removal(scene: Scene) -> Item:
    """The named structure, to be taken out and filled in."""
    picture = scene.picture
    return Item(
        f"Remove the {picture.part} in the {picture.place} of {picture.about}, fill the place "
        "from its surroundings, and say what was removed.",
        (picture.pixels,),
        f"The {picture.part} in the {picture.place} was removed; its surroundings fill the place.",
        (change.remove(picture.pixels, picture.region),),
    )


def organic_reconstruction(scene: Scene) -> Item:
    """The named structure is missing, and is to be put back."""
    picture = scene.picture
    return Item(
        f"The {picture.part} in the {picture.place} of {picture.about} has been blacked out. "
        "Reconstruct it and describe it.",
        (change.blank(picture.pixels, picture.region),),
        f"The {picture.part} is shown again in the {picture.place}; the picture is "
        f"{picture.about}.",
        (picture.pixels,),
    )


def volume_to_projection(scene: Scene) -> Item:
    """Slices of a volume in, its projection out. The volume is the tapered picture: synthetic."""
    picture = scene.picture
    shown, kind = picture, "mean"
    if picture.modality == "X-ray":
        shown, kind = scene.gallery["CT"][_ct_of(picture.file)], "X-ray-like"
        inputs, flat = change.slices(shown, 3), picture.pixels
    elif picture.name == "us-heart":
        inputs, kind = frames(3), "brightest-value"
        flat = np.maximum.reduce(inputs)
    else:
        kind = "brightest-value" if picture.modality == "MRI" else "mean"
        inputs = change.slices(picture, 3)
        flat = change.flatten(picture, brightest=picture.modality == "MRI")
    return Item(
        f"These pictures are sections of a synthetic volume made from {shown.about}. Compute "
        f"its {kind} projection and describe it.",
        inputs,
        f"The {kind} projection of the synthetic volume made from {shown.about}; overlapping "
        "structures are summed up in one plane.",
        (flat,),
        subtask="synthetic-volume",
    )


def projection_to_volume(scene: Scene) -> Item:
    """A projection in, four slices of the volume out, two by two."""
    picture = scene.picture
    shown, flat = picture, change.flatten(picture, brightest=picture.modality == "MRI")
    if picture.modality == "X-ray":
        shown = scene.gallery["CT"][_ct_of(picture.file)]
        flat = picture.pixels
    return Item(
        f"This is a projection of a synthetic volume made from {shown.about}. Show four slices of "
        "the volume from one end to the other, two by two, and describe them.",
        (flat,),
        f"Four slices of the synthetic volume made from {shown.about}; the middle slices are the "
        "widest, the outer ones shrink.",
        (change.montage(change.slices(shown, 4)),),
        subtask="synthetic-volume",
    )


def _ct_of(file: str) -> int:
    # The order of the CT pictures: spine, head, phantom; X-ray-like ones come of the last two.
    return 2 if file == "phantom.png" else 1
