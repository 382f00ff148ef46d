"""`medgen demo`."""

from importlib.util import find_spec

import click

from medgen.launch.commands.options import say

# The packages of the extra `mini`, by the names under which they are imported.
_PICTURES = ("skimage", "pydicom", "pylibjpeg", "openjpeg")
_SYSTEMS = "oracle,classical,copy-input,unrelated,blank"


@click.command("demo")
@click.option("--store", help="Where results live; by default a new temporary directory.")
@click.pass_context
def demo_command(context: click.Context, store: str | None) -> int:
    """Run the controls over the embedded miniature benchmark, in this process.

    Needs no weights, no GPU and no PyTorch; with PyTorch, SSIM and PSNR are computed as well.
    """
    from tempfile import mkdtemp

    from medgen.engine.errors import ConfigError
    from medgen.launch.commands.running import run_command
    from medgen.launch.setup.doctor import install

    if missing := [name for name in _PICTURES if find_spec(name) is None]:
        raise ConfigError(f"The demo's pictures need {', '.join(missing)}: {install('mini')}")
    whole = find_spec("torch") is not None and find_spec("nltk") is not None
    if not whole:
        also = "SSIM, PSNR and BLEU are left out; they need PyTorch and NLTK: "
        say(also + install("metrics"), err=True)
    settings = (
        "benchmark=mini",
        f"systems=[{_SYSTEMS}]",
        f"protocol={'weight-free' if whole else 'text-only'}",
        "cluster=in-process",
    )
    store = store or mkdtemp(prefix="medgen-demo-")
    code: int = context.invoke(run_command, store=store, overrides=settings)
    return code
