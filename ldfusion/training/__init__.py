"""Training of every network of the project with one loop on `accelerate`."""
