"""Commands of chaski-node that are more than a few lines."""
