"""The devices domain: contract, model and adapters. Never imports textual, console, screens or widgets."""
