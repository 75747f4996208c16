"""Customer journeys as graphs of touchpoints."""
