"""`python -m klarsyn` is the command `klarsyn`."""

from klarsyn.app.cli import main

main()
