"""The register of channels: ways to tell the user something."""
