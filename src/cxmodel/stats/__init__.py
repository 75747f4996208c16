"""Statistics on plain arrays: intervals, tests, chains and survival, without a word about their use."""
