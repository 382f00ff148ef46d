"""The six image editing tasks of the miniature benchmark: an input, and the picture wanted."""

from medgen.adapters.mini import synthesis as change
from medgen.adapters.mini.items import Item, Scene

_NOISES = {
    "Ultrasound": ("speckle", change.speckle),
    "X-ray": ("photon noise", change.photon_noise),
    "Clinical Photography": ("photon noise", change.photon_noise),
}
_ARTIFACTS = {
    "CT": ("horizontal stripes of a defect detector", change.stripes),
    "MRI": ("ghost copy that motion has left", change.ghost),
    "Ultrasound": ("dark dropout shadows", change.dropout),
    "X-ray": ("lines of the anti-scatter grid", change.grid),
    "Pathology": ("blue pen marks", change.pen_marks),
    "Clinical Photography": ("bright dust specks on the lens", change.dust),
}
_STYLES = {
    "CT": ("as a bone window shows it", change.bone_window),
    "MRI": ("as a negative, light and dark exchanged", change.negative),
    "Ultrasound": ("on the amber scale of an older screen", change.amber),
    "X-ray": ("as a negative, light and dark exchanged", change.negative),
    "Pathology": ("with an eosin-like pink in place of the brown stain", change.eosin),
    "Clinical Photography": ("as a red-free photograph, in grey", change.red_free),
}


def style_transfer(scene: Scene) -> Item:
    """The same content in another stain or grey-scale look."""
    picture = scene.picture
    style, apply = _STYLES[picture.modality]
    return Item(
        f"Show {picture.about} {style}; keep the {picture.part} where it is.",
        (picture.pixels,),
        references=(apply(picture.pixels),),
        subtask="stain-transfer" if picture.modality == "Pathology" else "appearance-transfer",
    )


def artifact_removal(scene: Scene) -> Item:
    """An artefact typical of the modality, to be taken out."""
    picture = scene.picture
    artifact, apply = _ARTIFACTS[picture.modality]
    return Item(
        f"Remove the {artifact} from {picture.about} without changing the {picture.part}.",
        (apply(picture.pixels, scene.rng),),
        references=(picture.pixels,),
    )


def noise_reconstruction(scene: Scene) -> Item:
    """Noise typical of the modality, to be taken out."""
    picture = scene.picture
    noise, apply = _NOISES.get(picture.modality, ("Gaussian noise", change.gaussian_noise))
    return Item(
        f"Reconstruct {picture.about} from this noisy picture: take out the {noise} and keep the "
        f"edges of the {picture.part}.",
        (apply(picture.pixels, scene.rng),),
        references=(picture.pixels,),
    )


def resolution_editing(scene: Scene) -> Item:
    """A coarse or blurred picture, to be brought back to full resolution."""
    picture, factor = scene.picture, 2 + scene.number % 3
    blocky = scene.number % 2 == 0
    apply = change.blocks(picture.pixels, factor) if blocky else change.blur(picture.pixels, factor)
    state = f"shown at 1/{factor} of its resolution" if blocky else "blurred"
    return Item(
        f"This is {picture.about}, {state}. Raise its resolution so that the {picture.part} in "
        f"the {picture.place} becomes sharp.",
        (apply,),
        references=(picture.pixels,),
    )


def contrast_enhancement(scene: Scene) -> Item:
    """A faint picture, to be brought back to full contrast."""
    picture = scene.picture
    return Item(
        f"Raise the contrast of this faint picture, {picture.about}, until the {picture.part} "
        "stands out.",
        (change.faint(picture.pixels),),
        references=(picture.pixels,),
    )


def anatomical_annotation(scene: Scene) -> Item:
    """The named structure, to be outlined."""
    picture, boxed = scene.picture, scene.number % 2 == 1
    shape = "a green box" if boxed else "a green outline"
    return Item(
        f"Draw {shape} around the {picture.part} in the {picture.place} of {picture.about}.",
        (picture.pixels,),
        references=(change.outline(picture.pixels, picture.region, boxed),),
        subtask="box" if boxed else "outline",
    )
