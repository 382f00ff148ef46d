"""The stage graph of a plan as text: for a terminal, and as Mermaid for Markdown.

Every node is drawn once however many systems share it, which is what sharing saves.
"""

from medgen.engine.plan.plan import Node, Plan
from medgen.engine.stages import JUDGE


def stages_saved(plan: Plan) -> tuple[int, int]:
    """Stages that will run, and how many more there would be if no system shared one."""
    alone = sum(len(node.systems) for node in plan.nodes.values())
    return len(plan.nodes), alone - len(plan.nodes)


def extent(plan: Plan) -> str:
    """How many samples and shards a run takes, and what a limit leaves out."""
    count = sum(plan.samples.values())
    said = f"{count:,} samples in {plan.shards:,} shards"
    if not plan.left_out:
        return said
    return f"{said} (the limit in whole shards), of {count + plan.left_out:,}"


def terminal(plan: Plan) -> str:
    """The graph as an indented text: each stage with its systems, below what it reads."""
    lines = [f"{plan.benchmark}  {extent(plan)}"]
    for node in plan.nodes.values():
        depth = 1 + _depth(plan, node)
        systems = _system_names(node)
        lines.append(f"{'  ' * depth}{node.stage:<6} {node.key}  {node.label}  {systems}")
    stages, saved = stages_saved(plan)
    lines.append(f"{stages} stages; sharing saves {saved}")
    return "\n".join(lines)


def mermaid(plan: Plan) -> str:
    """The graph as a Mermaid flowchart, without the surrounding fence."""
    lines = ["flowchart LR", f'  samples["{_escape(plan.benchmark)}"]']
    for node in plan.nodes.values():
        text = f"{node.stage}: {node.label}<br/>{_system_names(node)}"
        lines.append(f'  n{node.key}["{_escape(text)}"]')
        sources = [f"n{key}" for key in node.upstream[-1:]] or ["samples"]
        lines += [f"  {source} --> n{node.key}" for source in sources]
    return "\n".join(lines)


def _depth(plan: Plan, node: Node) -> int:
    return max((1 + _depth(plan, plan.nodes[key]) for key in node.upstream), default=0)


def _system_names(node: Node) -> str:
    return ", ".join(node.systems)


def _escape(text: str) -> str:
    # Names come from configuration files: nothing in them may end the label or begin markup.
    safe = text.replace("<br/>", "\n").replace("#", "#35;").replace("&", "#amp;")
    for sign, entity in (("<", "#lt;"), (">", "#gt;"), ('"', "#quot;"), ("`", "#96;")):
        safe = safe.replace(sign, entity)
    lines = ("".join(c for c in line if c.isprintable()) for line in safe.split("\n"))
    return "<br/>".join(lines)


def stages_of(plan: Plan) -> list[str]:
    """The plan's stages in the order of the work: none stands before one that it waits for.

    Judges come last, though they may wait for no more than metrics do.
    """
    deepest: dict[str, int] = {}
    for node in plan.nodes.values():
        deepest[node.stage] = max(deepest.get(node.stage, 0), _depth(plan, node))
    return sorted(deepest, key=lambda stage: (deepest[stage], stage == JUDGE.name, stage))
