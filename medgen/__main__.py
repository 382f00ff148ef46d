"""`python -m medgen`: the command line."""

from medgen.launch.cli import main

main()
