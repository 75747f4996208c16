"""Pictures by Matplotlib alone, on `Figure` objects; Matplotlib is imported when something is drawn."""
