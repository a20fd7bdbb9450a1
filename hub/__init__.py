"""The hub: makes lessons with people and models, and publishes them as signed channels."""
