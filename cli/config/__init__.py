"""Settings of commands out of a TOML file, derived from the commands' own options."""
