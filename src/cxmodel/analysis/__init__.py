"""What can be asked of a population: transitions, paths, funnels, credit."""
