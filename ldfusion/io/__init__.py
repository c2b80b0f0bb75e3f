"""Files, images, colour, sizes and previews: everything between the disk and a tensor."""
