"""Rooms: walls, openings and furniture."""
