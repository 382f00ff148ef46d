"""`medgen view`."""

import sys
from importlib.util import find_spec

import click

from medgen.launch.commands.completing import complete_run
from medgen.launch.commands.options import store_option

_PAGES = ("index", "metrics", "gallery", "compare", "failures", "provenance", "runs")


@click.command("view")
@click.argument("run", required=False, shell_complete=complete_run)
@store_option
@click.option("--page", type=click.Choice(_PAGES), default="index", help="The page to open first.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes a free one.")
@click.option("--bundle", help="Write the pages as files into a new folder or s3://… instead.")
def view_command(run: str | None, store: str, page: str, port: int, bundle: str | None) -> int:
    """Look at results in a browser. RUN is an id or its beginning; by default the last run."""
    from medgen.engine.errors import ConfigError
    from medgen.engine.run.folder import find_run
    from medgen.engine.store.connect import connect
    from medgen.launch.setup.doctor import install
    from medgen.launch.view.data import StoredRun

    objects = connect(store)
    run_id = find_run(objects, run)
    if bundle:
        from medgen.launch.commands.results import link_to
        from medgen.launch.view.bundle import write_bundle

        def tell(_: int, name: str) -> None:
            if name == "index.html":
                sys.stderr.write(f"first page: {link_to(bundle or '')}  (the rest follows)\n")

        count, size = write_bundle(StoredRun(objects, run_id), connect(bundle), tell)
        sys.stdout.write(f"{run_id}: {count} files, {size / 1e6:.1f} MB\n")
        sys.stdout.write(f"open {link_to(bundle)}\n")
        return 0
    if missing := [n for n in ("starlette", "uvicorn") if find_spec(n) is None]:
        raise ConfigError(
            f"`medgen view` needs {' and '.join(missing)}: {install('view')}; "
            "`medgen view --bundle DIR` needs neither"
        )
    from medgen.launch.view.serving import bind, serve, viewer

    with bind(port) as at:
        where = at.getsockname()[1]
        made = viewer(objects, run_id, where)
        more = "" if page == "index" else f"&page={page}"
        url = f"http://127.0.0.1:{where}/?token={made.token}{more}"
        sys.stdout.write(f"{run_id}: open {url}  (this machine only)\n")
        sys.stdout.write("Ctrl-C ends it. As files: medgen view --bundle out\n")
        sys.stdout.flush()
        serve(made.app(), at)
    return 0
