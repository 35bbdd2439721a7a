"""Read images from files, arrange them in grids, and write them, with numpy and pillow."""
