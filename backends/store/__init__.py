"""The embedded record store: contract and engines. Never imports textual, console, screens or widgets."""
