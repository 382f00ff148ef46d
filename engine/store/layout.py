"""Every path of the store, and nowhere else."""


def shard_name(folder: str, shard: int, revision: int = 0) -> str:
    """`shard-00042.arrow`, or `shard-00042-r1.arrow` for a later revision."""
    suffix = f"-r{revision}" if revision else ""
    return f"{folder}/shard-{shard:05d}{suffix}.arrow"
