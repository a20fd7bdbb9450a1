"""What the node holds: one database, one folder of objects, and the ways to read them."""
