"""The four-channel diffusion network: schedule, noise prediction and the features of its decoder."""
