"""The built-in exporters, registered through the hooks that everybody uses."""
