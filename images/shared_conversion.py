"""Choose the settings that all image files of a set share: the number of bits of 16-bit levels, and the background."""

from collections.abc import Mapping, Sequence

from ..runtime.errors import InputError, shortened
from .decoding import ImageHeader, largest_level, visible_level
from .image_file import ImageFile, Note
from .read_options import BLACK, WHITE, ReadOptions, rgb

MAX_SAMPLED_FILES = 200  # the background is chosen by at most this many files with transparent pixels
DARK_LEVEL = 64  # mean grey level, 0 to 255, of visible pixels below which the background is white
RECORDED_BITS = (8, 10, 12, 14, 16)  # possible numbers of bits that the values in a 16-bit grey file really use


def chosen_background(
    files: Sequence[ImageFile], headers: Mapping[str, ImageHeader], options: ReadOptions, note: Note | None
) -> tuple[int, int, int]:
    """The colour (red, green, blue) of transparent pixels: the background of the options, or else black or white.

    The colour is white if the visible pixels, in a sample of the files, are so dark on average that they would vanish
    on black.
    """
    if options.background is not None:
        return rgb(options.background)
    transparent = [file for file in files if headers[file.source_name].transparent]
    total = opaque = 0.0
    for file in transparent[:: max(1, len(transparent) // MAX_SAMPLED_FILES)]:
        try:
            with file.open() as stream:
                level_sum, pixels = visible_level(stream, file.source_name)
        except InputError:  # the file is decoded again later, and the error is reported then
            continue
        total, opaque = total + level_sum, opaque + pixels
    if total >= DARK_LEVEL * opaque:
        return BLACK
    if note is not None:
        note(f"{shortened(transparent[0].source_name)}: what is visible is dark, so transparent pixels become white")
    return WHITE


def recorded_bits(files: Sequence[ImageFile], headers: Mapping[str, ImageHeader], note: Note | None) -> int:
    """The number of bits that the values of 16-bit grey images really use, one of RECORDED_BITS.

    The result is the smallest number of bits that holds the largest value in all files. But it is 16 if every value is
    an 8-bit value times 257, because such values were scaled from 8 to 16 bits. If the result is below 16, `note` is
    called with a sentence for the user. Raises InputError if the values in all 16-bit colour files are so small that
    too few levels would remain in 8 bits.
    """
    grey = [file for file in files if headers[file.source_name].sixteen_bit == "grey"]
    colour = [file for file in files if headers[file.source_name].sixteen_bit == "colour"]
    largest_grey, eight_bit = _largest_level(grey)
    largest_colour, _ = _largest_level(colour)
    if 0 <= largest_colour < 2**14:
        raise InputError(
            colour[0].source_name,
            found=f"16 bits a channel, and no level above {largest_colour + 255:,} of 65,535",
            expected="levels that 8 bits can hold",
            remedy="Scale them to the whole range, or save the image with 8 bits a channel.",
        )
    if not grey or eight_bit:
        return 16
    bits = next(bits for bits in RECORDED_BITS if largest_grey < 2**bits)
    if bits < 16 and note is not None:
        subject = grey[0].source_name
        if len(grey) + len(colour) > 1:
            subject += f" and {len(grey) + len(colour) - 1:,} more"
        note(f"{shortened(subject)}: 16-bit grey levels up to {largest_grey:,} are read as {bits}-bit ones")
    return bits


def _largest_level(files: Sequence[ImageFile]) -> tuple[int, bool]:
    """The largest value in 16-bit image files, and whether all values are multiples of 257, as scaled 8-bit values are.

    Files that cannot be decoded are left out. The largest value is -1 if no file can be decoded.
    """
    largest, eight_bit = -1, True
    for file in files:
        try:
            with file.open() as stream:
                level, is_eight_bit = largest_level(stream, file.source_name)
        except InputError:  # the file is decoded again later, and the error is reported then
            continue
        largest, eight_bit = max(largest, level), eight_bit and is_eight_bit
    return largest, eight_bit
