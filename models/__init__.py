"""What thinks: model files and the runtime that runs them. See README.md."""
