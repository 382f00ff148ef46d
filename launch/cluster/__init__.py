"""Clusters: manifests, jobs, what is uploaded, following a run elsewhere."""
