"""The nouns, the ports, planning, the run and the store. Imports nothing else of ours."""
