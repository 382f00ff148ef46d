"""Models: vLLM in this process, endpoints, image pipelines, servers in other environments."""
