"""Streets: ground, houses, traffic and what stands along the road."""
