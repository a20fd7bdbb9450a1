"""How a decoder is asked in OpenAI's form: what a node's `/v1` and the hub's batches share."""
