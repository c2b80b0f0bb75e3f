"""Finding and applying the transform that lays the infrared image onto the visible one."""
