"""Images in files and arrays: reading, tiling and writing, with numpy and pillow."""
