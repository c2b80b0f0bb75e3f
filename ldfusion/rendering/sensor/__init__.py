"""The two cameras: geometry, visible and thermal radiance, and the response of the sensor."""
