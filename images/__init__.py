"""Images in files and arrays: reading, tiling, writing, with numpy and pillow."""
