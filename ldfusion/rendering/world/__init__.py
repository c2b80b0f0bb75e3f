"""What a scene is made of: surfaces with their noise, figures, people, light and air, and the place they make up."""
