"""What the node tells: metrics, samples and events, kept until a link takes them."""
