"""What is left of a run when it is over: summary, report, and a table on the terminal."""

import pyarrow as pa
from rich.console import Console

from medgen.conf import RunConf
from medgen.engine.results.summary import summarize, write_summary
from medgen.engine.store.layout import RunPlace
from medgen.launch.run.evaluation import Done
from medgen.launch.run.tracking import track


def publish(done: Done, conf: RunConf, shown: bool) -> pa.Table:
    """Write `summary.parquet` and the report beside the plan; print the table when shown."""
    from medgen.launch.report.report import write_report
    from medgen.launch.report.tables import terminal_tables

    summary = summarize(done.reader)
    done.reader.objects.replace(RunPlace(done.plan.run_id).summary, write_summary(summary))
    if shown:
        console = Console()
        for table in terminal_tables(summary, Console().width):
            console.print(table)
    if conf.report:
        written = write_report(done.reader, summary)
        if shown:
            where = f"{done.reader.objects.url}/{written[0]}"
            Console().print(f"report: {where}", highlight=False, soft_wrap=True)
    for problem in track(conf.tracking, done.plan, summary):
        Console(stderr=True).print(problem, markup=False, highlight=False, soft_wrap=True)
    return summary
