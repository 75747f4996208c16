"""The built-in readers, registered through the hooks that everybody uses."""
