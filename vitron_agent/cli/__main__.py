"""`python -m vitron_agent.cli`: the command line where the console script is not installed."""

from vitron_agent.cli.app import main

if __name__ == "__main__":
    main()
