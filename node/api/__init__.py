"""The OpenAI-compatible door of a node: `/v1/completions`, `/v1/chat/completions`, `/v1/models`."""
